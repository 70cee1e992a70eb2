/** Joining obligations: the stricter value of each holds, whatever the order of rules but for the one of naming. */
import { expect, test } from "bun:test";
import { joinObligations, type Obliging } from "../../../src/policy/obligations.ts";
import { createRandom, randomRule, shuffle } from "../../support/random-policy.ts";

const rule = (name: string, obligations: Obliging["obligations"]): Obliging => ({
  name,
  obligations,
});
const step = (acrValues: string[], amrValues: string[], maxAgeSeconds?: number) => ({
  acrValues,
  amrValues,
  maxAgeSeconds,
});

test("nothing asked is nothing owed", () => {
  expect(joinObligations([])).toBeUndefined();
  expect(joinObligations([rule("a", undefined), rule("b", {})])).toBeUndefined();
  expect(joinObligations([rule("a", { approval: false, scopes: [] })])).toBeUndefined();
  expect(joinObligations([rule("a", { stepUp: step([], []) })])).toBeUndefined();
});

test("every member is joined to the stricter", () => {
  const joined = joinObligations([
    rule("first", {
      scopes: ["write", "read"],
      stepUp: step(["gold", "silver"], [], 600),
      redaction: "personal",
      auditClass: "B",
      rateTier: "slow",
      rateLimit: { requests: 5, windowSeconds: 60 },
    }),
    rule("second", {
      scopes: ["read", "admin"],
      stepUp: step(["bronze"], ["otp"], 300),
      approval: true,
      redaction: "cards",
      auditClass: "A",
      rateTier: "fast",
      rateLimit: { requests: 9, windowSeconds: 10 },
    }),
    rule("third", { stepUp: step(["silver", "gold"], []), redaction: "cards" }),
  ]);
  expect(joined).toEqual({
    scopes: ["admin", "read", "write"],
    // Both must be met: an empty intersection of acr values is not "any".
    stepUp: [step(["bronze"], ["otp"], 300), step(["gold", "silver"], [], 300)],
    approval: true,
    redaction: "cards+personal",
    auditClass: "A",
    rateTier: "slow",
    rateLimits: [
      { rule: "first", requests: 5, windowSeconds: 60 },
      { rule: "second", requests: 9, windowSeconds: 10 },
    ],
  });
});

test("an age alone is a step-up", () => {
  expect(joinObligations([rule("a", { stepUp: step([], [], 60) })])?.stepUp).toEqual([
    step([], [], 60),
  ]);
});

test("order changes only the rate tier and the order of limits; one more rule never asks for less", () => {
  const random = createRandom(5);
  for (let round = 0; round < 500; round += 1) {
    const rules = ["a", "b", "c"].map((name) => randomRule(random, name, "require"));
    const joined = joinObligations(rules);
    const other = joinObligations(shuffle(random, rules));
    const unordered = (one: typeof joined) =>
      one && { ...one, rateTier: one.rateTier !== undefined, rateLimits: one.rateLimits.length };
    expect(unordered(other)).toEqual(unordered(joined));
    const fewer = joinObligations(rules.slice(1));
    for (const scope of fewer?.scopes ?? []) expect(joined?.scopes).toContain(scope);
    expect(joined?.approval ?? false).toBe(
      (fewer?.approval || rules[0]?.obligations?.approval) ?? false,
    );
    expect(joined?.stepUp.length ?? 0).toBeGreaterThanOrEqual(fewer?.stepUp.length ? 1 : 0);
  }
});
