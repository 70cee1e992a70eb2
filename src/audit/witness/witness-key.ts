/**
 * The key this node cosigns other nodes' checkpoints with, `<data>/witness.key`: Ed25519 as PKCS #8 in PEM, readable by
 * its owner alone, made when it is first needed. It signs nothing else; its name comes from the key itself.
 */
import { createHash, createPublicKey } from "node:crypto";
import { constants } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  cosignatureType,
  createSigningKey,
  parseSigningKey,
  type SigningKey,
} from "../evidence/keys.ts";

export async function loadWitnessKey(dataDir: string): Promise<SigningKey> {
  const path = join(dataDir, "witness.key");
  const pem = (await readPem(path)) ?? (await makePem(path));
  const key = createPublicKey(pem).export({ type: "spki", format: "der" });
  const name = createHash("sha256").update(key).digest("hex").slice(0, 16);
  return parseSigningKey(`mcp-gateway-witness/${name}`, pem, cosignatureType);
}

async function readPem(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function makePem(path: string): Promise<string> {
  const pem = createSigningKey("new", cosignatureType).exportPem();
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    await file.writeFile(pem);
    await file.sync();
  } finally {
    await file.close();
  }
  return pem;
}
