/** Which records the rules let go: boundaries, retain over delete, and what only a named rule may touch (PV-10). */
import { expect, test } from "bun:test";
import { buildPlan, protectedEvents } from "../../../src/retention/plan.ts";
import type { RetentionRuleResource } from "../../../src/state/resources.ts";

const dayMs = 86_400_000;
const nowMs = 1000 * dayMs;

function rule(changes: Partial<RetentionRuleResource>): RetentionRuleResource {
  return {
    id: "r",
    description: "",
    policyType: "time_based",
    action: "delete",
    retentionDays: 30,
    dataClass: undefined,
    event: undefined,
    clientId: undefined,
    priority: 0,
    enabled: true,
    ...changes,
  };
}

const evidence = protectedEvents.map((event) => ({ event }));

test("a delete rule reaches what is older than its days, and no evidence", () => {
  expect(buildPlan([rule({})], nowMs)).toEqual([
    { ruleId: "r", filter: { untilMs: nowMs - 30 * dayMs }, exclude: evidence },
  ]);
});

test("a rule is narrowed by data class, client and event; naming the event reaches evidence", () => {
  const narrow = rule({ dataClass: "pii", clientId: "c", event: "admin.change" });
  expect(buildPlan([narrow], nowMs)).toEqual([
    {
      ruleId: "r",
      filter: { dataClass: "pii", client: "c", event: "admin.change", untilMs: nowMs - 30 * dayMs },
      exclude: [],
    },
  ]);
});

test("PV-10 retain beats delete whatever the priority", () => {
  const [planned] = buildPlan(
    [
      rule({ id: "delete", priority: 100 }),
      rule({ id: "keep", action: "retain", retentionDays: 365, dataClass: "pii" }),
    ],
    nowMs,
  );
  expect(planned?.exclude[0]).toEqual({ dataClass: "pii", fromMs: nowMs - 365 * dayMs });
});

test("PV-10 nothing goes before it is a day old", () => {
  for (const retentionDays of [-5, 0, 0.1]) {
    expect(buildPlan([rule({ retentionDays })], nowMs)[0]?.filter.untilMs).toBe(nowMs - dayMs);
  }
  expect(buildPlan([rule({ retentionDays: Number.NaN })], nowMs)).toEqual([]);
});

test("disabled rules do nothing; the others run by priority, then by id", () => {
  const rules = [
    rule({ id: "b" }),
    rule({ id: "a" }),
    rule({ id: "first", priority: 5 }),
    rule({ id: "off", enabled: false }),
  ];
  expect(buildPlan(rules, nowMs).map((one) => one.ruleId)).toEqual(["first", "a", "b"]);
});

test("P17: a tenant's rule lets go of the tenant's records alone, and holds nobody else's", () => {
  const plan = buildPlan(
    [
      rule({ id: "common" }),
      rule({ id: "own", tenant: "a" }),
      rule({ id: "hold", tenant: "a:b", action: "retain", retentionDays: 90 }),
    ],
    nowMs,
  );
  const held = { tenant: "a:b", fromMs: nowMs - 90 * dayMs };
  expect(plan.map(({ ruleId, filter, exclude }) => [ruleId, filter.tenant, exclude[0]])).toEqual([
    ["common", undefined, held],
    ["own", "a", held],
  ]);
});
