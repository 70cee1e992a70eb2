/** Rules that name what the configuration does not have are refused wherever policy is compiled. */
import { describe, expect, test } from "bun:test";
import type { CompiledPolicy } from "../../../src/policy/compile.ts";
import type { PolicyInput, Rule } from "../../../src/policy/rule.ts";
import { compileWithNames } from "../../../src/state/configured-names.ts";

const policy: CompiledPolicy = {
  decide: () => ({ allowed: false, reason: "", ruleId: "" }),
  seesServer: () => false,
};
const rule = (obligations: Rule["obligations"], enabled = true): Rule => ({
  name: "mask",
  effect: "require",
  priority: 0,
  condition: {
    server: undefined,
    targetPattern: undefined,
    ignoreCase: false,
    principal: undefined,
    action: undefined,
  },
  obligations,
  enabled,
});
const input = (one: Rule): PolicyInput => ({ clients: [], roles: [], bindings: [], rules: [one] });
const compile = compileWithNames(() => policy, {
  redactionProfiles: ["personal", "cards"],
  rateTiers: [],
});

test("known names and rules without any are compiled", () => {
  expect(compile(input(rule({ redaction: "cards" })))).toBe(policy);
  expect(compile(input(rule(undefined)))).toBe(policy);
});

describe("refused, with what is allowed", () => {
  test.each([
    ["a profile", { redaction: "card" }, 'no profile "card"; it has personal, cards'],
    ["a tier", { rateTier: "gold" }, 'no tier "gold"; it has none'],
  ])("%s", (_name, obligations, words) => {
    expect(() => compile(input(rule(obligations)))).toThrow(words);
    expect(() => compile(input(rule(obligations, false)))).toThrow('rule "mask"');
  });
});

test("L10: a client that names a tier the configuration lacks is refused, too", () => {
  const grants = { enabled: true, allowedTools: [], allowedResources: [], allowedPrompts: [] };
  const of = (tier: string): PolicyInput => ({
    ...input(rule(undefined)),
    clients: [{ id: "ci", ...grants, limits: { tier } }],
  });
  const withTiers = compileWithNames(() => policy, { redactionProfiles: [], rateTiers: ["free"] });
  expect(withTiers(of("free"))).toBe(policy);
  expect(() => withTiers(of("gold"))).toThrow('no tier "gold"; it has free');
});
