/**
 * A small load at a fixed rate that outlives the gateway it calls: each call has its time, and whatever it waits
 * for is part of its latency. What is due while there is no gateway is left out. Asserts nothing.
 */
import type { GatewayProcess } from "./gateway-process.ts";
import { modernCall } from "./modern-agent.ts";

export interface SteadyCalls {
  /** From now on this gateway is called; undefined = none, until another is given. */
  aim(gateway: GatewayProcess | undefined): void;
  /** Answers that were no success though the gateway was there from beginning to end. */
  readonly refused: readonly string[];
  /** Of those answered, in ms, in the order they were due. */
  readonly latenciesMs: readonly number[];
  stop(): Promise<void>;
}

const tickMs = 10;

export function startSteadyCalls(token: string, callsPerSecond: number): SteadyCalls {
  let target: GatewayProcess | undefined;
  let owed = 0;
  let before = performance.now();
  const refused: string[] = [];
  const latenciesMs: number[] = [];
  const running = new Set<Promise<void>>();

  async function call(gateway: GatewayProcess): Promise<void> {
    const dueMs = performance.now();
    const params = { name: "echo", arguments: { text: `at ${dueMs}` } };
    const own = { base: gateway.agents, scope: "tiny", token, method: "tools/call", params };
    const said = await modernCall(own).then(
      ({ status, text }) => (status === 200 && text.includes('"result"') ? "" : text),
      (error: unknown) => String(error),
    );
    if (target !== gateway) return;
    if (said !== "") refused.push(said);
    latenciesMs.push(performance.now() - dueMs);
  }

  const timer = setInterval(() => {
    const now = performance.now();
    owed += ((now - before) * callsPerSecond) / 1000;
    before = now;
    for (; owed >= 1; owed -= 1) {
      if (target === undefined) continue;
      const work = call(target);
      running.add(work);
      void work.finally(() => running.delete(work));
    }
  }, tickMs);

  return {
    aim: (gateway) => {
      target = gateway;
    },
    refused,
    latenciesMs,
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
    },
  };
}

export function percentileOf(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
