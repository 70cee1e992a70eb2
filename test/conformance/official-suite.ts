/**
 * The official suite as a child process: which scenarios a set holds, and a run of its `server` or `client` command
 * whose checks are read back from the files it leaves. Judges nothing.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../support/gateway-process.ts";

/** As the suite writes it to `checks.json`; other members left out. */
export interface Check {
  readonly id: string;
  readonly status: "SUCCESS" | "FAILURE" | "WARNING" | "SKIPPED" | "INFO";
  readonly errorMessage?: string;
}

/** Checks by scenario; one that left no file is not in it. */
export type Checks = ReadonlyMap<string, readonly Check[]>;

export interface ScenarioSet {
  readonly name: string;
  /** The program's path below node_modules. */
  readonly program: string;
  /** Of the suite's `server` command, besides the URL. */
  readonly selection: readonly string[];
  readonly scenarios: readonly string[];
  /** Those that count for the revision; the others are run and reported by the suite. */
  readonly scored: ReadonlySet<string>;
}

export const currentProgram = "@modelcontextprotocol/conformance/dist/index.js";
const oldProgram = "conformance-0-1/dist/index.js";
const runTimeoutMs = 900_000;

interface Requirements {
  readonly server: readonly string[];
  readonly client: readonly string[];
  readonly not_scored: readonly {
    readonly scenario: string;
    readonly leg: "server" | "client";
    readonly reason: "extension" | "added-after-release" | "pending";
  }[];
}

/** What a revision requires, frozen by the suite's authors. Extensions are left out: no set counts them. */
export function readRequirements(revision: string, leg: "server" | "client") {
  const path = `node_modules/@modelcontextprotocol/conformance/requirements/${revision}.yaml`;
  const read = Bun.YAML.parse(readFileSync(join(repository, path), "utf8")) as Requirements;
  const unscored = read.not_scored.filter((one) => one.leg === leg && one.reason !== "extension");
  return { scored: read[leg], unscored: unscored.map(({ scenario }) => scenario) };
}

export async function readServerSets(): Promise<readonly ScenarioSet[]> {
  const dated = ["2025-11-25", "2026-07-28"].map((revision): ScenarioSet => {
    const { scored, unscored } = readRequirements(revision, "server");
    return {
      name: revision,
      program: currentProgram,
      selection: ["--suite", "all", "--spec-version", revision],
      scenarios: [...scored, ...unscored],
      scored: new Set(scored),
    };
  });
  const listed = await runSuite(oldProgram, ["list", "--server"]);
  const scenarios = [...listed.matchAll(/^ {2}- (\S+)/gm)].map(([, name]) => name ?? "");
  const selection = ["--suite", "all"];
  const old = { name: "suite 0.1.16", program: oldProgram, selection, scenarios };
  return [...dated, { ...old, scored: new Set(scenarios) }];
}

/** Every scenario of the set against one URL, one after the other. */
export async function runServerSet(set: ScenarioSet, url: string, folder: string): Promise<Checks> {
  await runSuite(set.program, ["server", "--url", url, ...set.selection, "-o", folder]);
  return readChecks(folder);
}

/** Runs the suite to its end and returns what it said, whatever its verdict was. */
export async function runSuite(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = Bun.spawn([process.execPath, join(repository, "node_modules", program), ...args], {
    cwd: repository,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "ignore"],
    timeout: runTimeoutMs,
    killSignal: "SIGKILL",
  });
  const said = await new Response(child.stdout).text();
  await child.exited;
  return said;
}

/** The folders are named `[server-]<scenario>-<time>`, where a scenario's slashes made folders of their own. */
export function readChecks(folder: string): Checks {
  const checks = new Map<string, readonly Check[]>();
  if (!existsSync(folder)) return checks;
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const scenario = /^(?:server-)?(.+)-\d{4}-\d{2}-\d{2}T[\dZ-]+\/checks\.json$/.exec(path)?.[1];
    if (scenario === undefined) continue;
    checks.set(scenario, JSON.parse(readFileSync(join(folder, path), "utf8")) as Check[]);
  }
  return checks;
}
