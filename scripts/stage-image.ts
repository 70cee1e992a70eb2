/**
 * Lays out the container image's root: `npm run stage-image -- DIR`. The Dockerfile copies the result into an empty
 * image; scripts/prove-image.ts runs it in a chroot. What is here is everything the image holds.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { executable } from "./build.ts";

export const imageUser = { name: "gateway", id: 10001 } as const;
export const executablePath = "/usr/local/bin/mcp-gateway";

/** Where Debian keeps the certificates that TLS to upstreams is checked against, besides the runtime's own. */
const certificates = "/etc/ssl/certs/ca-certificates.crt";

/** Fills `root` and returns the paths of the files in it. */
export function stageImage(root: string): readonly string[] {
  const copies = new Map([[executable, executablePath]]);
  for (const library of listLibraries(executable)) copies.set(library, library);
  if (existsSync(certificates)) copies.set(certificates, certificates);
  for (const [from, to] of copies) {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    copyFileSync(from, join(root, to));
  }
  chmodSync(join(root, executablePath), 0o755);
  const accounts = {
    "/etc/passwd": `${imageUser.name}:x:${imageUser.id}:${imageUser.id}::/data:/sbin/nologin\n`,
    "/etc/group": `${imageUser.name}:x:${imageUser.id}:\n`,
  };
  for (const [path, text] of Object.entries(accounts)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  for (const path of ["data", "tmp", "proc", "dev"])
    mkdirSync(join(root, path), { recursive: true });
  chmodSync(join(root, "tmp"), 0o1777);
  return [...copies.values(), ...Object.keys(accounts)];
}

/** The shared libraries and the loader, as the dynamic linker itself names them. */
export function listLibraries(program: string): readonly string[] {
  const { stdout, exitCode } = Bun.spawnSync(["ldd", program]);
  if (exitCode !== 0) throw new Error(`ldd ${program} ended with ${exitCode}`);
  const libraries = [...stdout.toString().matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)];
  return libraries.map((match) => match[1] ?? "");
}

if (import.meta.main) {
  const [root] = process.argv.slice(2);
  if (root === undefined) {
    console.error("usage: npm run stage-image -- DIR");
    process.exitCode = 2;
  } else {
    for (const path of stageImage(resolve(root))) console.log(path);
  }
}
