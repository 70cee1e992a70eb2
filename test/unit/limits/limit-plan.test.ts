/** Which limits hold for whom: defaults, tiers, registrations. */
import { describe, expect, test } from "bun:test";
import { namedLimit } from "../../../src/limits/charge.ts";
import { createLimitPlans, type OwnLimits } from "../../../src/limits/limit-plan.ts";

const defaults = {
  requestsPerMinute: 60,
  burst: 120,
  toolRequestsPerMinute: 10,
  toolBurst: 20,
  serverRequestsPerMinute: 0,
  serverBurst: 0,
  requestsPer10Seconds: 0,
  requestsPerHour: 0,
  requestsPerDay: 0,
  maxInFlight: 4,
  requestBytesMax: 1000,
};
const tiers = {
  free: { requestsPer10Seconds: 10, requestsPerHour: 1000, requestsPerDay: 10_000 },
  gold: { requestsPerMinute: 300, serverRequestsPerMinute: 50, maxInFlight: 99 },
};
const plans = createLimitPlans({ defaults, tiers, tenantRequestsPerMinute: 500 });

describe("L10 tiers and windows", () => {
  test("without any, one bucket of the caller and one of the tool", () => {
    expect(plans.of("user", undefined)).toEqual({
      own: [namedLimit("user", 120, 60)],
      server: undefined,
      tool: namedLimit("tool", 20, 10),
      maxInFlight: 4,
      requestBytesMax: 1000,
    });
    expect(plans.tenant).toEqual(namedLimit("tenant", 500, 500));
    expect(createLimitPlans({ defaults, tiers: {} }).tenant).toBeUndefined();
  });

  test("a tier's windows each have a bucket that holds as many and fills in that time", () => {
    expect(plans.of("client", { tier: "free" }).own).toEqual([
      namedLimit("client", 120, 60),
      namedLimit("client-10s", 10, 60),
      namedLimit("client-hour", 1000, 1000 / 60),
      namedLimit("client-day", 10_000, 10_000 / 1440),
    ]);
  });

  test("a registration's own numbers come before its tier's, the tier's before the defaults", () => {
    const own: OwnLimits = { tier: "gold", burst: 7, serverBurst: 5 };
    const plan = plans.of("client", own);
    expect(plan.own).toEqual([namedLimit("client", 7, 300)]);
    expect(plan.server).toEqual(namedLimit("server", 5, 50));
    expect([plan.maxInFlight, plan.requestBytesMax]).toEqual([99, 1000]);
    expect(plans.of("client", own)).toBe(plan);
    expect(plans.of("user", own).own[0]?.name).toBe("user");
    expect(plans.of("client", { tier: "gold", serverRequestsPerMinute: 0 }).server).toBeUndefined();
  });

  test("a rule's tier is the same plan under a name of its own", () => {
    expect(plans.ofTier("gold")?.own).toEqual([namedLimit("tier", 120, 300)]);
    expect(plans.ofTier("silver")).toBeUndefined();
  });
});
