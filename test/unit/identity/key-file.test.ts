/** A key's file: made once, kept, and refused when it is readable by others or cut off. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadKey } from "../../../src/identity/key-file.ts";

let dataDir = "";
let path = "";
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "token-key-"));
  path = join(dataDir, "token.key");
});
afterEach(() => rm(dataDir, { recursive: true }));

test("made once with mode 600, the same for all who start together and later", async () => {
  const keys = await Promise.all([loadKey(path), loadKey(path), loadKey(path)]);
  const [first] = keys;
  expect(first).toHaveLength(32);
  for (const key of [...keys, await loadKey(path)]) expect(key.equals(first)).toBe(true);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(dataDir)).toEqual(["token.key"]);
});

test.each([
  ["mode 640", 32, 0o640, "must be 600"],
  ["31 bytes", 31, 0o600, "must be 32"],
  ["empty", 0, 0o600, "must be 32"],
])("%s is refused", async (_name, size, mode, message) => {
  await writeFile(path, Buffer.alloc(size));
  await chmod(path, mode);
  await expect(loadKey(path)).rejects.toThrow(message);
});
