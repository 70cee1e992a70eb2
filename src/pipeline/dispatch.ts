/**
 * Where both edges of an agent's connection meet the pipeline: makes an exchange of an incoming message, runs it,
 * and hands back the reply. Also admits connections before they are upgraded.
 */
import { createFault } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/id.ts";
import { methodFacts } from "../protocol/methods.ts";
import type { CurrentSnapshot } from "../state/snapshot.ts";
import type { Log } from "../telemetry/log.ts";
import type { Exchange } from "./exchange.ts";
import { identify, isFault, isStillValid } from "./identify.ts";
import type { Dispatch, Incoming, Sink } from "./incoming.ts";
import { createListens } from "./listening/listens.ts";
import { buildStages, type StageDeps } from "./order.ts";
import { createPipeline } from "./pipeline.ts";
import { isOriginAllowed, lackingScopes } from "./stages/authenticate.ts";
import { visibleScope } from "./stages/authorize.ts";

export interface DispatchDeps extends Omit<StageDeps, "relay" | "listens"> {
  readonly current: CurrentSnapshot;
  readonly clock: Clock;
  readonly log: Log;
  /** Longest a whole call may take. */
  readonly callTimeoutMs: number;
}

export function createDispatch(deps: DispatchDeps): Dispatch & { inFlight(): number } {
  const relay: StageDeps["relay"] = (x, message) => {
    const passed = pipeline.relay(x, message);
    if (passed !== undefined) x.sink.relay(passed);
  };
  const listens = createListens(deps);
  const stages = buildStages({ ...deps, relay, listens });
  const pipeline = createPipeline({ ...deps, stages });
  let inFlight = 0;

  return {
    inFlight: () => inFlight,
    async dispatch(incoming, sink) {
      const x = createExchange(deps, incoming, sink);
      inFlight += 1;
      try {
        await pipeline.run(x);
      } finally {
        inFlight -= 1;
      }
      const outcome = x.outcome ?? {
        kind: "fault",
        fault: createFault("internal", "Internal error"),
      };
      return { outcome, requestId: x.id, limit: x.limit };
    },
    async admit(request) {
      const snapshot = deps.current.get();
      const { address } = request.peer;
      const flooded = deps.sourceLimit.take(address);
      if (flooded !== undefined) return { fault: flooded };
      const found = await identify(deps, request, snapshot);
      if (isFault(found)) {
        deps.sourceLimit.noteFailure(address);
        noteRefusedConnection(deps, request.binding, address, found.reason);
        return { fault: deps.scopeCheck.challenged(found, request.scope) };
      }
      if (!isOriginAllowed(found, snapshot, request.origin)) {
        return {
          fault: createFault("origin-refused", "This client may not be used from this origin"),
        };
      }
      if (visibleScope(snapshot, found, request.scope) === undefined) {
        return { fault: createFault("scope-unknown", "Not found") };
      }
      const lacking = lackingScopes(deps.scopeCheck, found, snapshot, request.scope);
      return lacking === undefined ? { principal: found } : { fault: lacking };
    },
    stillValid(principal, from) {
      return isStillValid(deps, principal, from, deps.current.get());
    },
    turnedAway({ binding, peer }, reason) {
      noteRefusal(deps, "traffic.rejected", binding, peer.address, reason);
    },
    endListens: listens.endAll,
  };
}

const nothingPaid = Object.freeze([]);

function createExchange(deps: DispatchDeps, incoming: Incoming, sink: Sink): Exchange {
  const { message, era } = incoming;
  const startedMonotonicMs = deps.clock.monotonicMs();
  const request = message.kind === "request" ? message : undefined;
  return {
    id: incoming.requestId ?? newId(),
    receivedAtMs: deps.clock.nowMs(),
    startedMonotonicMs,
    incoming,
    sink,
    snapshot: deps.current.get(),
    signal: incoming.signal,
    deadlineMs: startedMonotonicMs + deps.callTimeoutMs,
    request,
    method: request && (methodFacts(request.method, era) ?? edgeFacts(request.method)),
    principal: undefined,
    limit: undefined,
    charges: nothingPaid,
    limitPlan: undefined,
    release: undefined,
    scope: undefined,
    resolved: undefined,
    taskId: undefined,
    decision: undefined,
    listened: undefined,
    round: 0,
    argumentsInvalid: false,
    target: undefined,
    cached: false,
    cachePlan: undefined,
    redactions: 0,
    recorded: undefined,
    intentSeq: undefined,
    forwarded: false,
    answers: [],
    entered: 0,
    relayed: false,
    outcome: undefined,
  };
}

/** What the edge asks for a legacy agent in modern words: its `initialize`, and the changes its session hears of. */
function edgeFacts(method: string) {
  const isAsked = method === "server/discover" || method === "subscriptions/listen";
  return isAsked ? methodFacts(method, "modern") : undefined;
}

function noteRefusedConnection(
  deps: DispatchDeps,
  binding: Incoming["binding"],
  peer: string,
  reason: string | undefined,
): void {
  deps.metrics.count("mcp_gateway_rejected_total", { binding, error: "unauthenticated" });
  const why = reason === undefined ? "unauthenticated" : `unauthenticated:${reason}`;
  noteRefusal(deps, "authn.failed", binding, peer, why);
}

function noteRefusal(
  deps: DispatchDeps,
  event: "authn.failed" | "traffic.rejected",
  binding: Incoming["binding"],
  peer: string,
  reason: string,
): void {
  const rejection = { event, reason, binding, peer, principal: undefined } as const;
  deps.rejections.note(rejection, deps.clock.nowMs());
}
