/**
 * From the start of the process to its `listening` line, in an empty folder: keys are made, the database is created.
 */
import { join } from "node:path";
import { executable } from "../support/gateway-process.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { residentKilobytes } from "./process-cost.ts";

/** Long enough for what a start leaves behind to be collected. */
const settleMs = 2_000;

export async function measureColdStart(times: number): Promise<number> {
  const millis: number[] = [];
  for (let i = 0; i < times; i += 1) millis.push((await startOnce(0)).startMs);
  return median(millis);
}

export async function measureIdleMemory(): Promise<number> {
  return (await startOnce(settleMs)).residentKb / 1024;
}

async function startOnce(waitMs: number) {
  await using folder = temporaryFolder("cold-start");
  const ports = ["--port", "0", "--admin-port", "0", "--ops-port", "0"];
  const startedMs = performance.now();
  const child = Bun.spawn(
    [executable, "serve", "--data-dir", join(folder.path, "data"), ...ports],
    {
      cwd: folder.path,
      env: { PATH: process.env.PATH ?? "", HOME: folder.path },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  try {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of child.stdout) {
      text += decoder.decode(chunk, { stream: true });
      if (/"event":"listening".*\n/.test(text)) break;
    }
    const startMs = performance.now() - startedMs;
    if (!text.includes('"event":"listening"')) throw new Error(`did not start: ${text}`);
    await Bun.sleep(waitMs);
    return { startMs, residentKb: residentKilobytes(child.pid) };
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
