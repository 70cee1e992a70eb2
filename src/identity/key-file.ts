/**
 * A file that holds one key: 32 random bytes, readable by its owner alone, made at the first start. Used for the key of
 * client tokens and for the one that seals servers' secrets; a readable or cut-off file is refused rather than repaired.
 */
import { randomBytes } from "node:crypto";
import { link, open, unlink } from "node:fs/promises";
import { GatewayError } from "../errors/fault.ts";

const keyBytes = 32;
const ownerOnly = 0o600;

/** Reads the key, or makes it where there is none yet. */
export async function loadKey(path: string): Promise<Buffer> {
  return (await readKey(path)) ?? (await makeKey(path));
}

async function readKey(path: string): Promise<Buffer | undefined> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o777) !== ownerOnly) {
      const found = (mode & 0o777).toString(8);
      throw new GatewayError("internal", `${path} has mode ${found}; it must be 600`);
    }
    if (size !== keyBytes) {
      throw new GatewayError("internal", `${path} is ${size} bytes long; it must be ${keyBytes}`);
    }
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** Written whole under another name first: two nodes starting at once agree on one key, a crash leaves no half. */
async function makeKey(path: string): Promise<Buffer> {
  const draftPath = `${path}.${randomBytes(6).toString("hex")}`;
  const draft = await open(draftPath, "wx", ownerOnly);
  try {
    await draft.writeFile(randomBytes(keyBytes));
    await draft.chmod(ownerOnly);
    await draft.sync();
    await link(draftPath, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  } finally {
    await draft.close();
    await unlink(draftPath);
  }
  const key = await readKey(path);
  if (key === undefined) throw new GatewayError("internal", `${path} vanished while being made`);
  return key;
}
