/**
 * How often and how much at once: one token from the principal's bucket and from its bucket for the named tool, one
 * place among its calls in flight, and its own limit on message size. On the way out it gives the place back.
 */
import { createFault } from "../../errors/fault.ts";
import type { Principal } from "../../identity/principal.ts";
import type { Concurrency } from "../../limits/concurrency.ts";
import type { Limiter, LimitSettings } from "../../limits/limiter.ts";
import { stringMember } from "../../protocol/json-view.ts";
import type { ClientLimits } from "../../state/resources.ts";
import type { Snapshot } from "../../state/snapshot.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { type Exchange, proceed, refuse, type Verdict } from "../exchange.ts";
import type { Stage } from "../stage.ts";

export interface RateLimitDeps {
  readonly limiter: Limiter;
  readonly concurrency: Concurrency;
  /** Places of requests that last: they would keep a place in flight for hours. */
  readonly listenPlaces: Concurrency;
  readonly defaults: LimitSettings & {
    readonly maxInFlight: number;
    readonly requestBytesMax: number;
  };
  readonly metrics: Metrics;
}

export function createRateLimitStage(deps: RateLimitDeps): Stage {
  return {
    name: "rate-limit",
    enter(x: Exchange): Verdict {
      const { principal } = x;
      if (principal === undefined) return refuse(createFault("internal", "Internal error"));
      const limits = limitsOf(deps, principal, x.snapshot);
      if (x.incoming.bodyBytes > limits.requestBytesMax) {
        const message = `Payload too large: this client may send at most ${limits.requestBytesMax} bytes`;
        return refuse(createFault("payload-too-large", message));
      }
      const tool = x.request && toolName(x);
      const taken = deps.limiter.take({ clientKey: principal.id, tool, limits });
      x.limit = taken.state;
      if (!taken.allowed) return refuse(taken.fault);
      const place = x.method?.lasts
        ? deps.listenPlaces.enter(principal.id)
        : deps.concurrency.enter(principal.id, limits.maxInFlight);
      if (!place.allowed) return refuse(place.fault);
      x.release = place.release;
      return proceed;
    },
    leave(x: Exchange): void {
      x.release?.();
    },
  };
}

function limitsOf(
  deps: RateLimitDeps,
  principal: Principal,
  snapshot: Snapshot,
): RateLimitDeps["defaults"] {
  const own: Partial<ClientLimits> | undefined =
    principal.clientId === undefined ? undefined : snapshot.clients.get(principal.clientId)?.limits;
  if (own === undefined) return deps.defaults;
  const { defaults } = deps;
  return {
    requestsPerMinute: own.requestsPerMinute ?? defaults.requestsPerMinute,
    burst: own.burst ?? defaults.burst,
    toolRequestsPerMinute: own.toolRequestsPerMinute ?? defaults.toolRequestsPerMinute,
    toolBurst: own.toolBurst ?? defaults.toolBurst,
    maxInFlight: own.maxInFlight ?? defaults.maxInFlight,
    requestBytesMax: own.requestBytesMax ?? defaults.requestBytesMax,
  };
}

function toolName(x: Exchange): string | undefined {
  const params = x.request?.params;
  if (params === undefined || x.method?.target !== "tool" || x.method.nameMember !== "name")
    return undefined;
  const name = stringMember(params, x.method.nameMember);
  return name === undefined ? undefined : `${x.incoming.scope}/${name}`;
}
