/**
 * One step of `npm run check`, `npm test` or `npm run fault`: a command whose output is passed on as it comes, and
 * how many checks passed and failed in it. A command that is no test run counts as one check.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

export const repository = resolve(import.meta.dir, "..");

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const nothing: Tally = { passed: 0, failed: 0, skipped: 0 };

export function add(left: Tally, right: Tally): Tally {
  return {
    passed: left.passed + right.passed,
    failed: left.failed + right.failed,
    skipped: left.skipped + right.skipped,
  };
}

/** Reads the closing lines of `bun test`. A run that ended badly without a failing test still counts as a failure. */
export function parseTally(output: string, exitCode: number): Tally {
  const count = (word: string) => {
    const matches = [...Bun.stripANSI(output).matchAll(new RegExp(`^ *(\\d+) ${word}$`, "gm"))];
    return matches.reduce((sum, match) => sum + Number(match[1]), 0);
  };
  const tally = { passed: count("pass"), failed: count("fail"), skipped: count("skip") };
  return exitCode !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
}

/** Runs a command under a heading; it passes where it ends with 0. */
export async function runCommand(title: string, command: readonly string[]): Promise<Tally> {
  printHeading(title);
  const { exitCode } = await runThrough(command, {});
  console.log(exitCode === 0 ? `ok: ${title}` : `FAILED (${exitCode}): ${title}`);
  return exitCode === 0 ? { ...nothing, passed: 1 } : { ...nothing, failed: 1 };
}

/** Runs the tests in the given files and folders; those that are not there are named and left out. */
export async function runTests(
  title: string,
  paths: readonly string[],
  env: Readonly<Record<string, string>> = {},
  options: readonly string[] = [],
): Promise<Tally> {
  printHeading(title);
  const present = paths.filter(holdsTests);
  for (const path of paths) if (!present.includes(path)) console.log(`no tests in ${path}`);
  if (present.length === 0) return nothing;
  const command = [bun, "test", ...options, ...present.map((path) => `./${path}`)];
  const { exitCode, output } = await runThrough(command, env);
  return parseTally(output, exitCode);
}

/** The Bun that runs this script, which npm took from node_modules/.bin. */
export const bun = process.execPath;

/** A tool that npm installed. */
export function tool(name: string): string {
  return join(repository, "node_modules/.bin", name);
}

function holdsTests(path: string): boolean {
  if (path.endsWith(".ts")) return existsSync(join(repository, path));
  if (!existsSync(join(repository, path))) return false;
  const [first] = new Bun.Glob("**/*.test.ts").scanSync(join(repository, path));
  return first !== undefined;
}

function printHeading(title: string): void {
  console.log(`\n=== ${title}`);
}

async function runThrough(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const child = Bun.spawn([...command], {
    cwd: repository,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err] = await Promise.all([
    passOn(child.stdout, process.stdout),
    passOn(child.stderr, process.stderr),
  ]);
  return { exitCode: await child.exited, output: `${out}\n${err}` };
}

async function passOn(
  from: ReadableStream<Uint8Array>,
  to: { write(bytes: Uint8Array): unknown },
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of from) {
    to.write(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
