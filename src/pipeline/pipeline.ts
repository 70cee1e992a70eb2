/**
 * The runner. It owns control flow: stages in order until one answers or refuses, then `leave` in reverse for
 * exactly the stages entered. A throw is a bug of ours: logged with its cause, answered as `internal`. It awaits
 * only promises, so a call that stays in memory costs no extra turn of the event loop.
 */
import { createFault } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import type { RelayedMessage } from "../protocol/messages.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Exchange, Verdict } from "./exchange.ts";
import type { Stage } from "./stage.ts";

export interface PipelineDeps {
  readonly stages: readonly Stage[];
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface Pipeline {
  /** Runs the exchange to its end; afterwards `x.outcome` is set. Never rejects. */
  run(x: Exchange): Promise<void>;
  /** Passes a streamed message outward through the stages entered so far; undefined = dropped. */
  relay(x: Exchange, message: RelayedMessage): RelayedMessage | undefined;
}

/** One exchange in so many has its hooks timed: timing each hook of each call would cost more than the hooks. */
const timedEvery = 32;

export function createPipeline(deps: PipelineDeps): Pipeline {
  const { stages, clock, log, metrics } = deps;
  let started = 0;

  /** Both ways in one function: one for each would cost every call two more promises and turns. */
  async function run(x: Exchange): Promise<void> {
    started += 1;
    const isTimed = started % timedEvery === 0;
    try {
      let isOnTheWayIn = true;
      for (let index = 0; isOnTheWayIn && index < stages.length; index += 1) {
        const stage = stages[index];
        x.entered = index + 1;
        if (stage?.enter === undefined) continue;
        const began = isTimed ? clock.monotonicMs() : 0;
        const returned = stage.enter(x);
        const verdict = returned instanceof Promise ? await returned : returned;
        if (isTimed) observe(stage.name, "enter", began);
        isOnTheWayIn = applyVerdict(x, verdict);
      }
    } catch (cause) {
      failInternally(x, stages[x.entered - 1]?.name ?? "none", cause);
    }
    for (let index = x.entered - 1; index >= 0; index -= 1) {
      const stage = stages[index];
      if (stage?.leave === undefined) continue;
      const began = isTimed ? clock.monotonicMs() : 0;
      try {
        const returned = stage.leave(x);
        if (returned instanceof Promise) await returned;
      } catch (cause) {
        failInternally(x, stage.name, cause);
      }
      if (isTimed) observe(stage.name, "leave", began);
    }
  }

  function failInternally(x: Exchange, stage: string, cause: unknown): void {
    const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    log.error("stage-failed", { stage, exchange: x.id, cause: text });
    x.outcome = { kind: "fault", fault: createFault("internal", "Internal error") };
  }

  function observe(stage: string, hook: string, began: number): void {
    metrics.observe("mcp_gateway_stage_seconds", (clock.monotonicMs() - began) / 1000, {
      stage,
      hook,
    });
  }

  return {
    run,
    relay(x, message) {
      let passed: RelayedMessage | undefined = message;
      for (let index = x.entered - 1; index >= 0 && passed; index -= 1) {
        const stage = stages[index];
        if (stage?.relay !== undefined) passed = stage.relay(x, passed);
      }
      if (passed !== undefined) x.relayed = true;
      return passed;
    },
  };
}

/** Applies a verdict; false ends the way in. */
function applyVerdict(x: Exchange, verdict: Verdict): boolean {
  switch (verdict.kind) {
    case "proceed":
      return true;
    case "answer":
      x.outcome = verdict.outcome;
      return false;
    case "refuse":
      x.outcome = { kind: "fault", fault: verdict.fault };
      return false;
    default: {
      const never: never = verdict;
      return never;
    }
  }
}
