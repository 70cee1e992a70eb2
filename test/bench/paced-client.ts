/**
 * Load at a fixed rate, whatever the answers do: each call has its time, and what it waits for a late one before it is
 * part of its latency. wrk has no such mode. A process of its own, pinned. Arguments: a JSON object (`PacedOptions`).
 * Prints one line of JSON.
 */
import type { LoadResult } from "./load-client.ts";

export interface PacedOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly callsPerSecond: number;
  readonly durationMs: number;
}

/** Longest a call may take; later answers count as failed. */
const timeoutMs = 250_000;
/** Calls left out at the beginning: connections are opened then, and this process is still being compiled. */
const warmUpShare = 0.4;

async function run(options: PacedOptions): Promise<LoadResult> {
  const { url, headers, body, callsPerSecond, durationMs } = options;
  const count = Math.floor((callsPerSecond * durationMs) / 1000);
  const latenciesUs: number[] = [];
  const running: Promise<void>[] = [];
  let failed = 0;
  const startMs = performance.now();

  async function call(index: number, dueMs: number): Promise<void> {
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const response = await fetch(url, { method: "POST", headers, body, signal });
      const text = await response.text();
      if (!response.ok || !text.includes('"result"')) failed += 1;
    } catch {
      failed += 1;
    }
    if (index >= count * warmUpShare) latenciesUs.push((performance.now() - dueMs) * 1000);
  }

  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, ((performance.now() - startMs) * callsPerSecond) / 1000);
    for (; sent < due; sent += 1) {
      running.push(call(sent, startMs + (sent * 1000) / callsPerSecond));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(running);
  latenciesUs.sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(latenciesUs[Math.floor(latenciesUs.length * share)] ?? 0);
  const durationUs = (performance.now() - startMs) * 1000;
  return { calls: count, failed, durationUs, p50Us: at(0.5), p99Us: at(0.99) };
}

console.log(JSON.stringify(await run(JSON.parse(process.argv[2] ?? "{}"))));
process.exit(0);
