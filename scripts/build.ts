/**
 * Builds dist/mcp-gateway: one executable holding the runtime, the gateway and its worker threads.
 * `npm run build` always builds; `--if-needed` (used by the demo and the tests) skips it when no input changed.
 * Each worker is an entry point of its own, found again by src/lib/worker.ts under the same path below `src`.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

export const repository = resolve(import.meta.dir, "..");
export const executable = join(repository, "dist/mcp-gateway");
const stamp = `${executable}.inputs`;

export const entryPoints = [
  "src/main.ts",
  "src/audit/evidence/notary-worker.ts",
  "src/audit/spool/worker.ts",
  "src/compose/copy-worker.ts",
  "src/compose/sink-worker.ts",
  "src/compose/witness-worker.ts",
  "src/storage/sqlite-worker.ts",
] as const;

/** Everything the executable is made of, as one digest: sources, embedded files, packages, build flags, runtime. */
export function digestInputs(root: string): string {
  const hash = createHash("sha256").update(Bun.version_with_sha);
  const patterns = ["{src,config,proto}/**/*", "package*.json", "scripts/build.ts"];
  const paths = patterns.flatMap((pattern) => [
    ...new Bun.Glob(pattern).scanSync({ cwd: root, dot: false }),
  ]);
  for (const path of paths.sort()) {
    hash.update(`\0${path}\0`).update(readFileSync(join(root, path)));
  }
  return hash.digest("hex");
}

/**
 * The flags, and why: without the two `autoload` ones the executable would run what a `.env` or `bunfig.toml` in the
 * current directory says; the embedded bytecode needs ES modules to keep top-level await; `root` fixes the paths of the
 * workers, and splitting keeps what several of them need once: each copy would take memory and time to load.
 */
export function buildFlags(outfile: string): readonly string[] {
  return [
    "build",
    "--compile",
    ...entryPoints,
    "--root=src",
    `--outfile=${outfile}`,
    "--minify",
    "--bytecode",
    "--splitting",
    "--format=esm",
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--no-compile-autoload-tsconfig",
    "--no-compile-autoload-package-json",
    `--define=process.env.NODE_ENV="production"`,
  ];
}

function build(): void {
  const missing = entryPoints.filter((path) => !existsSync(join(repository, path)));
  if (missing.length > 0) throw new Error(`cannot build: ${missing.join(", ")} not there`);
  const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  const inputs = digestInputs(repository);
  // Built aside, under its own name (which stack traces show), and moved into place: a gateway that is running from
  // the old file is not disturbed.
  const aside = join(dirname(executable), `building-${process.pid}`);
  mkdirSync(aside, { recursive: true });
  try {
    const outfile = join(aside, basename(executable));
    const command = [process.execPath, ...buildFlags(outfile)];
    const { exitCode } = Bun.spawnSync(command, {
      cwd: repository,
      stdio: ["ignore", "inherit", "inherit"],
    });
    if (exitCode !== 0) throw new Error(`bun build ended with ${exitCode}`);
    renameSync(outfile, executable);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  writeFileSync(stamp, inputs);
  const megabytes = (statSync(executable).size / 1e6).toFixed(1);
  console.log(`built dist/mcp-gateway ${version} (${megabytes} MB)`);
}

function isCurrent(): boolean {
  if (!existsSync(executable) || !existsSync(stamp)) return false;
  return readFileSync(stamp, "utf8") === digestInputs(repository);
}

if (import.meta.main) {
  if (process.argv.includes("--if-needed") && isCurrent()) {
    console.log("dist/mcp-gateway is up to date");
  } else {
    try {
      build();
    } catch (error) {
      console.error(error instanceof Error ? error.message : error);
      process.exitCode = 1;
    }
  }
}
