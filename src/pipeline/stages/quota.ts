/**
 * What only policy and the target can say of a call's price: the buckets of its server, its tool and of rules, the
 * tokens a dear tool costs beyond the first, and the tier a rule puts in place of the principal's own. Where nodes
 * share limits, it asks the shared counter for everything at once. A call refused here gets back what it paid before.
 */
import { createFault } from "../../errors/fault.ts";
import type { Principal } from "../../identity/principal.ts";
import { type Charge, type LimitVerdict, tighter } from "../../limits/charge.ts";
import type { Concurrency } from "../../limits/concurrency.ts";
import type { LimitPlan, LimitPlans } from "../../limits/limit-plan.ts";
import type { Limiter } from "../../limits/limiter.ts";
import type { SharedLimiter } from "../../limits/shared-limiter.ts";
import type { RuleRateLimit } from "../../policy/rule.ts";
import type { ServerSpec } from "../../servers/spec.ts";
import { type Exchange, proceed, refuse, type Verdict } from "../exchange.ts";
import type { Stage } from "../stage.ts";
import { planOf } from "./rate-limit.ts";

export interface QuotaDeps {
  readonly limiter: Limiter;
  readonly limitPlans: LimitPlans;
  /** Undefined = each node counts for itself. */
  readonly sharedLimiter?: SharedLimiter | undefined;
  /** Places of calls under a rule's tier, by principal and tier. */
  readonly tierPlaces: Concurrency;
}

/** Tool names come from agents: those longer than any real name share one bucket. */
const toolLengthMax = 256;

export function createQuotaStage(deps: QuotaDeps): Stage {
  const { limiter, limitPlans, sharedLimiter } = deps;

  function settle(x: Exchange, verdict: LimitVerdict): Verdict {
    if (verdict.allowed) {
      x.limit = tighter(x.limit, verdict.state);
      return proceed;
    }
    limiter.giveBack(x.charges);
    x.limit = verdict.state;
    return refuse(verdict.fault);
  }

  /** The principal's own buckets, or the tier's that a rule puts in their place. */
  function holdersCharges(x: Exchange, principal: Principal, tier: string | undefined) {
    if (tier === undefined) return x.charges;
    const plan = limitPlans.ofTier(tier);
    if (plan === undefined) return undefined;
    const key = `${tier} ${principal.id}`;
    const own = plan.own.map((limit): Charge => ({ limit, key, cost: 1 }));
    return [...own, ...x.charges.filter(({ limit }) => limit.name === "tenant")];
  }

  function placeInTier(x: Exchange, principal: Principal, tier: string): Verdict {
    const most = limitPlans.ofTier(tier)?.maxInFlight;
    const admission = deps.tierPlaces.enter(`${tier} ${principal.id}`, most);
    if (!admission.allowed) return refuse(admission.fault);
    const { release } = x;
    x.release = () => {
      release?.();
      admission.release();
    };
    return proceed;
  }

  return {
    name: "quota",
    enter(x: Exchange): Verdict | Promise<Verdict> {
      const { principal } = x;
      if (principal === undefined) return refuse(createFault("internal", "Internal error"));
      const tier = x.decision?.obligations?.rateTier;
      const holder = holdersCharges(x, principal, tier);
      if (holder === undefined) return refuse(createFault("internal", "Internal error"));
      if (tier !== undefined) {
        const placed = placeInTier(x, principal, tier);
        if (placed.kind !== "proceed") return placed;
        limiter.giveBack(x.charges);
        x.limit = undefined;
        x.charges = [];
      }
      const plan =
        (tier === undefined ? undefined : limitPlans.ofTier(tier)) ??
        planOf(limitPlans, principal, x.snapshot);
      const cost = costOfCall(x);
      const targets = targetCharges(x, principal, plan, cost);
      if (sharedLimiter !== undefined) {
        const all = [...holder.map((charge) => ({ ...charge, cost })), ...targets];
        return sharedLimiter.take(all).then((verdict) => settle(x, verdict));
      }
      // What was paid on the way in is paid: of a dear call the rest is due, of a tier everything.
      const paid = tier === undefined ? 1 : 0;
      if (cost === paid) return settle(x, limiter.take(targets));
      const rest = holder.map((charge) => ({
        ...charge,
        cost: Math.min(cost, charge.limit.capacity) - paid,
      }));
      return settle(x, limiter.take([...rest, ...targets]));
    },
  };
}

function targetCharges(
  x: Exchange,
  principal: Principal,
  plan: LimitPlan,
  cost: number,
): readonly Charge[] {
  const { resolved, decision } = x;
  const charges: Charge[] = [];
  const { id } = principal;
  if (resolved !== undefined) {
    const key = `${id.length} ${id}${resolved.server}`;
    if (plan.server !== undefined) charges.push({ limit: plan.server, key, cost });
    if (x.method?.target === "tool") {
      const tool = resolved.name.length > toolLengthMax ? "" : resolved.name;
      charges.push({ limit: plan.tool, key: `${key}__${tool}`, cost });
    }
  }
  for (const limit of decision?.obligations?.rateLimits ?? []) charges.push(ruleCharge(limit, id));
  return charges;
}

/** Counted in requests, whatever they cost. */
function ruleCharge({ rule, requests, windowSeconds }: RuleRateLimit, id: string): Charge {
  const perMinute = (requests * 60) / windowSeconds;
  // The numbers are in the key: a rule that was changed starts anew.
  const key = `${rule} ${requests} ${windowSeconds} ${id}`;
  return { limit: { name: "rule", capacity: requests, perMinute }, key, cost: 1 };
}

const costsOf = new WeakMap<ServerSpec, ReadonlyMap<string, number>>();

/** By the operator's word on the tool; 1 for everything else. */
function costOfCall({ snapshot, resolved, method }: Exchange): number {
  if (resolved === undefined || method?.target !== "tool") return 1;
  const server = snapshot.servers.get(resolved.server);
  if (server === undefined || server.toolSettings.length === 0) return 1;
  let costs = costsOf.get(server);
  if (costs === undefined) {
    costs = new Map(server.toolSettings.map(({ tool, cost }) => [tool, cost ?? 1]));
    costsOf.set(server, costs);
  }
  return costs.get(resolved.name) ?? 1;
}
