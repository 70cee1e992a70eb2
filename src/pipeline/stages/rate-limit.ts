/**
 * How often and how much at once, before anything is decided: one token from each of the principal's buckets and its
 * tenant's, a place among its calls in flight, and its own limit on message size. What a call costs beyond one token,
 * and the buckets of its target, are the quota stage's. On the way out it gives the place back, and counts refusals.
 */
import { createFault } from "../../errors/fault.ts";
import type { Principal } from "../../identity/principal.ts";
import type { Charge } from "../../limits/charge.ts";
import type { Admission, Concurrency } from "../../limits/concurrency.ts";
import type { LimitPlan, LimitPlans } from "../../limits/limit-plan.ts";
import type { Limiter } from "../../limits/limiter.ts";
import { type PenaltyBox, penaltyReason } from "../../limits/penalty-box.ts";
import type { Snapshot } from "../../state/snapshot.ts";
import { type Exchange, proceed, refuse, type Verdict } from "../exchange.ts";
import type { Stage } from "../stage.ts";

export interface RateLimitDeps {
  readonly limiter: Limiter;
  readonly limitPlans: LimitPlans;
  readonly penalties: Pick<PenaltyBox, "check" | "noteRefusal">;
  readonly concurrency: Concurrency;
  /** Places of requests that last: they would keep a place in flight for hours. */
  readonly listenPlaces: Concurrency;
}

export function createRateLimitStage(deps: RateLimitDeps): Stage {
  const { limiter, limitPlans, penalties } = deps;

  function place(x: Exchange, id: string, plan: LimitPlan): Verdict | Promise<Verdict> {
    if (x.method?.lasts) return settle(x, deps.listenPlaces.enter(id));
    const admission = deps.concurrency.enterOrWait(id, plan.maxInFlight, x.signal);
    if (admission instanceof Promise) return admission.then((one) => settle(x, one));
    return settle(x, admission);
  }

  function settle(x: Exchange, admission: Admission): Verdict {
    if (!admission.allowed) {
      limiter.giveBack(x.charges);
      return refuse(admission.fault);
    }
    x.release = admission.release;
    return proceed;
  }

  return {
    name: "rate-limit",
    enter(x: Exchange): Verdict | Promise<Verdict> {
      const { principal } = x;
      if (principal === undefined) return refuse(createFault("internal", "Internal error"));
      const putAside = penalties.check("principal", principal.id);
      if (putAside !== undefined) return refuse(putAside);
      const plan = planOf(limitPlans, principal, x.snapshot);
      x.limitPlan = plan;
      if (x.incoming.bodyBytes > plan.requestBytesMax) {
        const message = `Payload too large: this client may send at most ${plan.requestBytesMax} bytes`;
        return refuse(createFault("payload-too-large", message));
      }
      const charges = ownCharges(limitPlans, plan, principal);
      const taken = limiter.take(charges, x.startedMonotonicMs);
      x.limit = taken.state;
      if (!taken.allowed) return refuse(taken.fault);
      x.charges = charges;
      return place(x, principal.id, plan);
    },
    leave(x: Exchange): void {
      x.release?.();
      if (x.outcome?.kind !== "fault" || x.principal === undefined) return;
      const { name, reason } = x.outcome.fault;
      const isLimit = name === "rate-limited" || name === "too-many-in-flight";
      if (isLimit && reason !== penaltyReason) penalties.noteRefusal("principal", x.principal.id);
    },
  };
}

/** What holds for a principal: its client's registration, the tier that names, the defaults. */
function planOf(plans: LimitPlans, principal: Principal, snapshot: Snapshot): LimitPlan {
  const { kind, clientId } = principal;
  const own = clientId === undefined ? undefined : snapshot.clients.get(clientId)?.limits;
  return plans.of(kind === "user" ? "user" : "client", own);
}

function ownCharges(plans: LimitPlans, plan: LimitPlan, principal: Principal): readonly Charge[] {
  const { id, tenant } = principal;
  const charges: Charge[] = [];
  for (const limit of plan.own) charges.push({ limit, key: id, cost: 1 });
  if (plans.tenant !== undefined && tenant !== undefined) {
    charges.push({ limit: plans.tenant, key: tenant, cost: 1 });
  }
  return charges;
}
