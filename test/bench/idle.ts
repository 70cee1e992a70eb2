/**
 * What it costs to hold what nothing happens on: resident memory for each idle WebSocket and event stream, each listen
 * for changes, and each call that waits for its agent's answer.
 */
import { loadCore, startScript } from "./child.ts";
import type { HeldKind, LoadOptions } from "./load-client.ts";
import { residentKilobytes } from "./process-cost.ts";

export interface IdleTarget {
  readonly pid: number;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The first few pay for code that is loaded once; they are open before the counting begins. */
const warmUp = 200;
const sampleMs = 250;
const quietSamples = 8;
const samplesMax = 80;

/**
 * Resident memory once it no longer falls: what opening the connections left behind is given back only after a while,
 * and is no part of what holding them costs.
 */
async function settledKilobytes(pid: number): Promise<number> {
  let lowest = residentKilobytes(pid);
  for (let quiet = 0, samples = 0; quiet < quietSamples && samples < samplesMax; samples += 1) {
    await Bun.sleep(sampleMs);
    const now = residentKilobytes(pid);
    quiet = now < lowest ? 0 : quiet + 1;
    lowest = Math.min(lowest, now);
  }
  return lowest;
}

/** Kilobytes for each of `connections` connections, all open at once. */
export async function measureIdle(
  kind: HeldKind,
  { pid, url, headers }: IdleTarget,
  connections: number,
): Promise<number> {
  const open = (count: number) => {
    const options: LoadOptions = {
      kind,
      url,
      headers,
      connections: count,
      durationMs: 0,
      tool: "",
    };
    return startScript("load-client.ts", loadCore, [JSON.stringify(options)]);
  };
  const warm = await open(warmUp);
  const beforeKb = await settledKilobytes(pid);
  const { child, first } = await open(connections);
  const afterKb = await settledKilobytes(pid);
  for (const one of [child, warm.child]) {
    one.stdin.end();
    await one.exited;
  }
  if (first.open !== connections) throw new Error(`${kind}: ${first.open} of ${connections} open`);
  return (afterKb - beforeKb) / connections;
}
