/**
 * What it costs to hold connections on which nothing happens: resident memory for each idle WebSocket and event stream.
 */
import { loadCore, startScript } from "./child.ts";
import type { LoadOptions } from "./load-client.ts";
import { residentKilobytes } from "./process-cost.ts";

export interface IdleTarget {
  readonly pid: number;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The first few pay for code that is loaded once; they are open before the counting begins. */
const warmUp = 200;

/** Kilobytes for each of `connections` connections, all open at once. */
export async function measureIdle(
  kind: "idle-ws" | "idle-sse",
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
  const beforeKb = residentKilobytes(pid);
  const { child, first } = await open(connections);
  const afterKb = residentKilobytes(pid);
  for (const one of [child, warm.child]) {
    one.stdin.end();
    await one.exited;
  }
  if (first.open !== connections) throw new Error(`${kind}: ${first.open} of ${connections} open`);
  return (afterKb - beforeKb) / connections;
}
