/**
 * Whether the policy being served is still the database's (AZ-04). It is asked every few seconds; while it does not
 * answer, or holds a state that cannot be read, the last good snapshot serves on, and after `maxStaleMs` nothing is
 * allowed any more. Called by compose; `current.isFresh()` is what calls ask.
 */
import type { AuditLog } from "../audit/record.ts";
import type { Clock } from "../lib/clock.ts";
import type { ResourceStore } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { SwappableSnapshot } from "./current.ts";

export interface FreshnessDeps {
  readonly store: Pick<ResourceStore, "revision">;
  readonly current: SwappableSnapshot;
  /** Loads what another process wrote; resolves once it is served or was refused. */
  readonly reload: () => Promise<void>;
  readonly maxStaleMs: number;
  readonly audit: Pick<AuditLog, "append">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "gauge">;
}

export interface Freshness {
  /** Asks the database now. */
  check(): Promise<void>;
  start(): void;
  stop(): void;
}

const intervalMsMax = 5_000;

export function createFreshness(deps: FreshnessDeps): Freshness {
  const { current, clock, log, maxStaleMs } = deps;
  let confirmedAtMs = clock.monotonicMs();
  let isDoubted = false;
  let timer: ReturnType<typeof setInterval> | undefined;

  const staleMs = () => clock.monotonicMs() - confirmedAtMs;
  deps.metrics.gauge("mcp_gateway_policy_stale_seconds", () =>
    isDoubted ? Math.round(staleMs() / 1000) : 0,
  );

  /** What is served is what the database holds, or newer: a write of one's own. */
  async function isConfirmed(): Promise<boolean> {
    try {
      const stateRevision = await deps.store.revision();
      if (stateRevision > current.get().stateRevision) await deps.reload();
      return current.get().stateRevision >= stateRevision;
    } catch {
      return false;
    }
  }

  function confirm(): void {
    confirmedAtMs = clock.monotonicMs();
    if (isDoubted) log.info("policy.confirmed", { stateRevision: current.get().stateRevision });
    isDoubted = false;
    current.setFresh(true);
  }

  function doubt(): void {
    const { stateRevision } = current.get();
    if (!isDoubted) log.warn("policy.unconfirmed", { serving: stateRevision, maxStaleMs });
    isDoubted = true;
    if (staleMs() <= maxStaleMs || !current.isFresh()) return;
    current.setFresh(false);
    log.error("policy.unavailable", { serving: stateRevision, staleMs: Math.round(staleMs()) });
    const facts = { reason: "policy_unavailable", stateRevision, status: "denied" };
    const event = "authz.policy_unavailable";
    deps.audit
      .append({ event, class: "A", timeMs: clock.nowMs(), facts, details: {} }, "synced")
      .catch((cause: unknown) => log.error("policy.not_recorded", { reason: String(cause) }));
  }

  const check = async () => ((await isConfirmed()) ? confirm() : doubt());
  return {
    check,
    start() {
      timer = setInterval(() => void check(), Math.min(intervalMsMax, maxStaleMs / 4));
      timer.unref();
    },
    stop: () => clearInterval(timer),
  };
}
