/**
 * A file that holds one key: 32 random bytes, readable by its owner alone, made at the first start. Used for the key of
 * client tokens, for the one that seals servers' secrets and for the root of the key vault; a readable or cut-off file is refused rather than repaired.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { link, open, unlink } from "node:fs/promises";
import { GatewayError } from "../errors/fault.ts";

const keyBytes = 32;
const ownerOnly = 0o600;
const { O_RDONLY, O_NOFOLLOW } = constants;

/**
 * Reads the key, or makes it where there is none yet. A `private` one may not be a symbolic link; one that an operator
 * named may, because that is how secrets are mounted into containers.
 */
export async function loadKey(path: string, place?: "private"): Promise<Buffer> {
  const flags = place === "private" ? O_RDONLY | O_NOFOLLOW : O_RDONLY;
  return (await readKey(path, flags)) ?? (await makeKey(path, flags));
}

async function readKey(path: string, flags: number): Promise<Buffer | undefined> {
  const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    if (error.code === "ELOOP") throw new GatewayError("internal", `${path} must not be a link`);
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
async function makeKey(path: string, flags: number): Promise<Buffer> {
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
  const key = await readKey(path, flags);
  if (key === undefined) throw new GatewayError("internal", `${path} vanished while being made`);
  return key;
}
