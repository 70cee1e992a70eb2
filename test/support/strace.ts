/**
 * strace as the fault suites use it: attached to a running process to watch or to break its system calls, and a parser
 * of what it writes. A line is `<pid> <seconds> <call>(<arguments>) = <result>`; a call during which another thread's
 * was printed comes in two, `<unfinished ...>` and `<... call resumed>`, which the parser joins.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./deadline.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export interface SystemCall {
  readonly pid: number;
  readonly name: string;
  readonly text: string;
  /** Where it began and where it had returned, counted in lines: the order in which the kernel saw them. */
  readonly began: number;
  readonly ended: number;
  readonly result: number;
}

export interface Tracing extends AsyncDisposable {
  /** Lets go of the process and returns what was seen. */
  stop(): Promise<readonly SystemCall[]>;
}

/** Why strace cannot be used here, or undefined where it can. */
export function straceProblem(): string | undefined {
  if (Bun.which("strace") === null) return "strace is not installed";
  const tried = Bun.spawnSync(["strace", "-o", "/dev/null", "-e", "trace=none", "true"]);
  return tried.exitCode === 0 ? undefined : `strace is not permitted: ${tried.stderr}`;
}

/** Attaches to a process and all its threads. */
export async function attachStrace(pid: number, options: readonly string[]): Promise<Tracing> {
  const folder = temporaryFolder("strace");
  const file = join(folder.path, "calls");
  const command = ["strace", "-f", "-ttt", "-y", "-s", "4096", "-o", file, ...options];
  const child = Bun.spawn([...command, "-p", String(pid)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) said += decoder.decode(chunk, { stream: true });
  })();
  await until("strace to attach", () => {
    if (child.exitCode !== null) throw new Error(`strace ended: ${said}`);
    return said.includes("attached");
  });
  const end = async () => {
    if (child.exitCode === null) child.kill("SIGINT");
    await child.exited;
  };
  return {
    async stop() {
      await end();
      return parseCalls(readFileSync(file, "utf8"));
    },
    async [Symbol.asyncDispose]() {
      await end();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const wholeLine = /^(\d+) +[\d.]+ (\w+)\((.*)\) += (-?\d+)/s;
const begunLine = /^(\d+) +[\d.]+ (\w+)\((.*) <unfinished \.\.\.>$/s;
const resumedLine = /^(\d+) +[\d.]+ <\.\.\. (\w+) resumed>(.*)\) += (-?\d+)/s;

export function parseCalls(output: string): readonly SystemCall[] {
  const calls: SystemCall[] = [];
  const begun = new Map<string, { readonly text: string; readonly began: number }>();
  output.split("\n").forEach((line, at) => {
    const start = begunLine.exec(line);
    if (start !== null) {
      const [, pid, name, text] = start;
      begun.set(`${pid} ${name}`, { text: text ?? "", began: at });
      return;
    }
    const match = resumedLine.exec(line) ?? wholeLine.exec(line);
    if (match === null) return;
    const [, pid, name = "", text = "", result] = match;
    const opened = begun.get(`${pid} ${name}`);
    begun.delete(`${pid} ${name}`);
    calls.push({
      pid: Number(pid),
      name,
      text: `${opened?.text ?? ""}${text}`,
      began: opened?.began ?? at,
      ended: at,
      result: Number(result),
    });
  });
  return calls;
}
