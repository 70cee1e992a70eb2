/**
 * Starts the bench's own processes, each pinned to a core: what is measured has core 0 to itself (unless there is
 * only one), load and upstream share the last one.
 */
import { cpus } from "node:os";
import { join } from "node:path";

export const measuredCore = 0;
export const loadCore = cpus().length - 1;

export function pinned(core: number, command: readonly string[]): string[] {
  return ["taskset", "-c", String(core), ...command];
}

export const allCores = cpus().map((_, core) => core);

/** From now on all threads of the process, and those that they start, run on these cores. */
export function confine(pid: number, cores: readonly number[]): void {
  const { exitCode, stderr } = Bun.spawnSync([
    "taskset",
    "-a",
    "-cp",
    cores.join(","),
    String(pid),
  ]);
  if (exitCode !== 0) throw new Error(`taskset: ${stderr.toString().trim()}`);
}

export interface Peer extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
}

/** Starts a script of this folder that prints `{"port": …}` and ends with its stdin. */
export async function startPeer(
  script: string,
  core: number,
  args: readonly string[] = [],
): Promise<Peer> {
  const { child, first } = await startScript(script, core, args);
  return {
    port: Number(first.port),
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await child.exited;
    },
  };
}

/** Longest wait for a script's first line, which for a load client comes when its run is over. */
const firstLineTimeoutMs = 300_000;

/** Starts a script and waits for its first line of JSON. */
export async function startScript(script: string, core: number, args: readonly string[]) {
  const command = [process.execPath, join(import.meta.dir, script), ...args];
  const child = Bun.spawn(pinned(core, command), { stdio: ["pipe", "pipe", "inherit"] });
  const decoder = new TextDecoder();
  let text = "";
  const reader = child.stdout.getReader();
  const late = setTimeout(() => child.kill("SIGKILL"), firstLineTimeoutMs);
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) {
      clearTimeout(late);
      throw new Error(`${script} ended with ${await child.exited} before its first line`);
    }
    text += decoder.decode(value, { stream: true });
  }
  clearTimeout(late);
  const first: Readonly<Record<string, unknown>> = JSON.parse(text.slice(0, text.indexOf("\n")));
  return { child, first };
}
