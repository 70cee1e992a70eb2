/**
 * Everything that counts and caps calls, from the configuration: buckets, plans, places, the penalty box with its
 * records, and the link to Redis where one is configured.
 */
import type { AuditLog, RecordDraft } from "../audit/record.ts";
import { sourcePrefix } from "../audit/rejections.ts";
import { newId } from "../lib/id.ts";
import { createConcurrency } from "../limits/concurrency.ts";
import { createLimitPlans } from "../limits/limit-plan.ts";
import { createLimiter } from "../limits/limiter.ts";
import { createPenaltyBox, type Penalty, type PenaltyEnd } from "../limits/penalty-box.ts";
import { createRedisLink } from "../limits/redis-link.ts";
import { createSharedLimiter, type SharedLimiter } from "../limits/shared-limiter.ts";
import { createSharedNodes, type SharedNodes } from "../limits/shared-nodes.ts";
import { createSourceLimit } from "../limits/source-limit.ts";
import type { Parts } from "./parts.ts";

export type Limits = ReturnType<typeof createLimits>;

interface Shared {
  readonly limiter: SharedLimiter;
  readonly nodes: SharedNodes;
  readonly isUp: () => boolean;
}

const beatMs = 1_000;

export function createLimits(parts: Parts) {
  const { config, clock, log, metrics, audit } = parts;
  const { limits, agents } = config;
  const deps = { clock, metrics };
  let shared: Shared | undefined;
  const penalties = createPenaltyBox({
    ...deps,
    refusalsMax: limits.penaltyAfterRefusals,
    penaltyMs: limits.penaltySeconds * 1000,
    onStart(penalty) {
      metrics.count("mcp_gateway_penalties_total", { kind: penalty.kind });
      record(audit, startOf(penalty));
      shared?.nodes.publish(penalty);
    },
    onEnd(penalty, why) {
      record(audit, endOf(penalty, why, clock.nowMs()));
      if (why === "cleared") shared?.nodes.withdraw(penalty.kind, penalty.key);
    },
  });
  if (limits.redisUrl !== undefined) {
    const url = limits.redisUrl.reveal();
    const link = createRedisLink({ url, timeoutMs: limits.redisTimeoutMs });
    const named = { link, prefix: limits.redisPrefix };
    const nodes = createSharedNodes({
      ...named,
      nodeId: newId(),
      nodesAssumed: limits.redisNodes,
      penalties,
      clock,
      log,
    });
    const alone = createLimiter(deps);
    const limiter = createSharedLimiter({ ...named, alone, nodes: nodes.count, metrics });
    shared = { limiter, nodes, isUp: link.isUp };
  }
  const concurrency = createConcurrency({
    perClientMax: limits.maxInFlight,
    totalMax: agents.inFlightMax,
    queueMax: limits.queueMax,
    queueWaitMs: limits.queueWaitMs,
    metrics,
  });
  return {
    stages: {
      limiter: createLimiter(deps),
      limitPlans: createLimitPlans({
        ...limits,
        defaults: { ...limits, requestBytesMax: agents.bodyBytesMax },
      }),
      sharedLimiter: shared?.limiter,
      penalties,
      concurrency,
      listenPlaces: createConcurrency({
        perClientMax: agents.listensPerPrincipalMax,
        totalMax: agents.listensMax,
        metrics,
      }),
      tierPlaces: createConcurrency({
        perClientMax: limits.maxInFlight,
        totalMax: agents.inFlightMax,
        metrics,
      }),
      sourceLimit: createSourceLimit({
        ...deps,
        requestsPerMinute: limits.sourceRequestsPerMinute,
        burst: limits.sourceRequestsPerMinute,
        failuresFree: limits.failedAuthPerMinute,
        penalties,
      }),
    },
    penalties,
    /** Begins the beats; resolves after the first, whether Redis is there or not. Returns what ends them. */
    async start(): Promise<() => Promise<void>> {
      metrics.gauge("mcp_gateway_waiting", concurrency.waiting);
      metrics.gauge("mcp_gateway_put_aside", () => penalties.list().length);
      const stopBeats = shared === undefined ? async () => {} : await startBeats(shared, parts);
      const sweeper = setInterval(penalties.sweep, beatMs);
      sweeper.unref();
      return async () => {
        clearInterval(sweeper);
        await stopBeats();
      };
    },
  };
}

async function startBeats(
  { nodes, isUp }: Shared,
  { metrics }: Parts,
): Promise<() => Promise<void>> {
  metrics.gauge("mcp_gateway_limits_shared", () => (isUp() ? 1 : 0));
  metrics.gauge("mcp_gateway_limits_nodes", nodes.count);
  await nodes.beat();
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= nodes.beat().finally(() => {
      running = undefined;
    });
  }, beatMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await running;
    await nodes.close();
  };
}

/** The box holds whether or not its record can be written. */
function record(audit: Pick<AuditLog, "append">, draft: RecordDraft): void {
  audit.append(draft, "written").catch(() => {});
}

function startOf({ kind, key, startedAtMs, endsAtMs, refusals }: Penalty): RecordDraft {
  return {
    event: "limits.penalty_started",
    class: "B",
    timeMs: startedAtMs,
    facts: { status: "rejected", kind, count: refusals, durationMs: endsAtMs - startedAtMs },
    details: whose(kind, key),
  };
}

function endOf({ kind, key }: Penalty, why: PenaltyEnd, nowMs: number): RecordDraft {
  return {
    event: "limits.penalty_ended",
    class: "B",
    timeMs: nowMs,
    facts: { status: why, kind },
    details: whose(kind, key),
  };
}

function whose(kind: Penalty["kind"], key: string): RecordDraft["details"] {
  return kind === "principal" ? { principal: key } : { source: sourcePrefix(key) };
}
