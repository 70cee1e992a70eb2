/**
 * What only policy and the target can say of a call's price: the buckets of its server, its tool and of rules, the
 * tokens a dear tool costs beyond the first, and the tier a rule puts in place of the principal's own. Where nodes
 * share limits, it asks the shared counter for everything at once. A call refused here gets back what it paid before.
 */
import { createFault } from "../../errors/fault.ts";
import type { Principal } from "../../identity/principal.ts";
import { type Charge, type LimitVerdict, namedLimit, tighter } from "../../limits/charge.ts";
import type { Concurrency } from "../../limits/concurrency.ts";
import type { LimitPlan, LimitPlans } from "../../limits/limit-plan.ts";
import type { Limiter } from "../../limits/limiter.ts";
import type { SharedLimiter } from "../../limits/shared-limiter.ts";
import type { RuleRateLimit } from "../../policy/rule.ts";
import { toolSettingOf } from "../../servers/spec.ts";
import { type Exchange, proceed, refuse, type Verdict } from "../exchange.ts";
import type { Stage } from "../stage.ts";

export interface QuotaDeps {
  readonly limiter: Limiter;
  readonly limitPlans: LimitPlans;
  /** Undefined = each node counts for itself. */
  readonly sharedLimiter?: SharedLimiter | undefined;
  /** Places of calls under a rule's tier, by principal and tier. */
  readonly tierPlaces: Concurrency;
}

const nothing: readonly RuleRateLimit[] = Object.freeze([]);

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

  function placeInTier(x: Exchange, key: string, most: number): Verdict {
    const admission = deps.tierPlaces.enter(key, most);
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
      const tier = x.decision?.obligations?.rateTier;
      const plan = tier === undefined ? x.limitPlan : limitPlans.ofTier(tier);
      // A tier that is not configured was refused when it was written; were one here, nothing would bound its calls.
      if (principal === undefined || plan === undefined) {
        return refuse(createFault("internal", "Internal error"));
      }
      const holder = holdersCharges(x, principal, plan, tier);
      if (tier !== undefined) {
        limiter.giveBack(x.charges);
        x.limit = undefined;
        x.charges = [];
        const placed = placeInTier(x, `${tier} ${principal.id}`, plan.maxInFlight);
        if (placed.kind !== "proceed") return placed;
      }
      const cost = costOfCall(x);
      const targets = targetCharges(x, principal, plan, cost);
      if (sharedLimiter !== undefined) {
        const all = [...holder.map((charge) => ({ ...charge, cost })), ...targets];
        return sharedLimiter.take(all).then((verdict) => settle(x, verdict));
      }
      // What was paid on the way in is paid: of a dear call the rest is due, of a tier everything.
      const paid = tier === undefined ? 1 : 0;
      if (cost === paid) return settle(x, limiter.take(targets, x.startedMonotonicMs));
      const rest = holder.map((charge) => ({
        ...charge,
        cost: Math.min(cost, charge.limit.capacity) - paid,
      }));
      return settle(x, limiter.take([...rest, ...targets], x.startedMonotonicMs));
    },
  };
}

/** The principal's own buckets, or the tier's that a rule puts in their place; its tenant's either way. */
function holdersCharges(
  { charges }: Exchange,
  { id }: Principal,
  plan: LimitPlan,
  tier: string | undefined,
): readonly Charge[] {
  if (tier === undefined) return charges;
  const own = plan.own.map((limit): Charge => ({ limit, key: `${tier} ${id}`, cost: 1 }));
  return [...own, ...charges.filter(({ limit }) => limit.name === "tenant")];
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
    const { server, name } = resolved;
    if (plan.server !== undefined) {
      charges.push({ limit: plan.server, key: `${id.length} ${id}${server}`, cost });
    }
    if (x.method?.target === "tool") {
      const tool = name.length > toolLengthMax ? "" : name;
      charges.push({ limit: plan.tool, key: `${id.length} ${id}${server}__${tool}`, cost });
    }
  }
  const rateLimits = decision?.obligations?.rateLimits;
  for (const one of rateLimits ?? nothing) {
    const charge = ruleCharge(one, id);
    // A tenant's rule and a common one may share their name and numbers, and then their bucket.
    if (!charges.some(({ key }) => key === charge.key)) charges.push(charge);
  }
  return charges;
}

/** Counted in requests, whatever they cost. */
function ruleCharge({ rule, requests, windowSeconds }: RuleRateLimit, id: string): Charge {
  const limit = namedLimit("rule", requests, (requests * 60) / windowSeconds);
  // The numbers are in the key: a rule that was changed starts anew.
  return { limit, key: `${rule} ${requests} ${windowSeconds} ${id}`, cost: 1 };
}

/** By the operator's word on the tool; 1 for everything else. */
function costOfCall({ snapshot, resolved, method }: Exchange): number {
  if (resolved === undefined || method?.target !== "tool") return 1;
  const server = snapshot.servers.get(resolved.server);
  return (server && toolSettingOf(server, resolved.name)?.cost) ?? 1;
}
