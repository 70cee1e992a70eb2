/**
 * The node's key, `<data>/node.key`: Ed25519 as PKCS #8 in PEM, readable by its owner alone, made at the first start. It
 * certifies boot keys and signs nothing else but its own succession. A rotation lies beside it as `node.key.next` until
 * its record is synced, so that a crash in between is completed at the next start (ST-12).
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { link, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { EvidenceError } from "./evidence-error.ts";
import { createSigningKey, parseSigningKey, type SigningKey } from "./keys.ts";

const fileName = "node.key";
const nextSuffix = ".next";
const ownerOnly = 0o600;
const pemBytesMax = 4096;

export function nodeKeyPath(dataDir: string): string {
  return join(dataDir, fileName);
}

/** The node's key under the name of its log's origin; undefined where there is none yet. */
export async function readNodeKey(
  dataDir: string,
  origin: string,
): Promise<SigningKey | undefined> {
  return await readKey(nodeKeyPath(dataDir), origin);
}

/** Reads the node's key, or makes it at the first start. */
export async function loadNodeKey(dataDir: string, origin: string): Promise<SigningKey> {
  const path = nodeKeyPath(dataDir);
  const found = await readKey(path, origin);
  if (found !== undefined) return found;
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  await writeKey(draft, createSigningKey(origin));
  try {
    // Two processes that start at once agree on one key.
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  } finally {
    await unlink(draft);
  }
  await syncFolder(dirname(path));
  const made = await readKey(path, origin);
  if (made === undefined) throw new EvidenceError(`${path} vanished while being made`);
  return made;
}

/** The key that was to follow when the process ended; undefined where none was. */
export async function readNextNodeKey(
  dataDir: string,
  origin: string,
): Promise<SigningKey | undefined> {
  return await readKey(nodeKeyPath(dataDir) + nextSuffix, origin);
}

/** Makes the key that is to follow, durable beside the one in use. */
export async function makeNextNodeKey(dataDir: string, origin: string): Promise<SigningKey> {
  const path = nodeKeyPath(dataDir) + nextSuffix;
  const key = createSigningKey(origin);
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  await writeKey(draft, key);
  await rename(draft, path);
  await syncFolder(dataDir);
  return key;
}

/** Puts the next key in the place of the one in use, whose private part is gone with that. */
export async function takeNextNodeKey(dataDir: string): Promise<void> {
  const path = nodeKeyPath(dataDir);
  await rename(path + nextSuffix, path);
  await syncFolder(dataDir);
}

async function readKey(path: string, origin: string): Promise<SigningKey | undefined> {
  const { O_RDONLY, O_NOFOLLOW } = constants;
  const file = await open(path, O_RDONLY | O_NOFOLLOW).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o777) !== ownerOnly) {
      throw new EvidenceError(`${path} has mode ${(mode & 0o777).toString(8)}; it must be 600`);
    }
    if (size > pemBytesMax) throw new EvidenceError(`${path} is too long to be a key`);
    return parseSigningKey(origin, await file.readFile("utf8"));
  } finally {
    await file.close();
  }
}

async function writeKey(path: string, key: SigningKey): Promise<void> {
  const file = await open(path, "wx", ownerOnly);
  try {
    await file.writeFile(key.exportPem());
    await file.chmod(ownerOnly);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
