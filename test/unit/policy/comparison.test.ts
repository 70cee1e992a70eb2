/**
 * Comparing two policies over a recorded call: what is known, and that nothing is ever guessed. The second half asks
 * random policies with every argument that could have been: whatever is said of a call must hold for all of them.
 */
import { describe, expect, test } from "bun:test";
import { type Comparison, createComparison } from "../../../src/policy/comparison.ts";
import { compilePolicy } from "../../../src/policy/compile.ts";
import type { Asker, Decision, PolicyInput, Rule } from "../../../src/policy/rule.ts";
import { createRandom } from "../../support/random.ts";

const asker: Asker = {
  id: "user:https://idp.example#ann",
  clientId: undefined,
  subject: "ann",
  issuer: "https://idp.example",
  roles: ["reader"],
  groups: [],
};
const question = { server: "s", kind: "tool", target: "read", action: "invoke_tool" } as const;
const facts = { timeMs: Date.UTC(2026, 0, 5, 12), peer: "10.0.0.7" };
const reader = {
  name: "reader",
  permissions: [{ resource: "mcp:s:read", actions: ["invoke_tool"] as const }],
};

function rule(name: string, effect: Rule["effect"], more: Partial<Rule["condition"]> = {}): Rule {
  const plain = { server: undefined, targetPattern: undefined, ignoreCase: false };
  const condition = { ...plain, principal: undefined, action: undefined, ...more };
  return { name, effect, priority: 0, condition, enabled: true };
}

function policy(rules: readonly Rule[], roles: PolicyInput["roles"] = [reader]): PolicyInput {
  return { clients: [], roles, bindings: [], rules };
}

const compare = (now: PolicyInput, drafted: PolicyInput) =>
  createComparison(now, drafted)({ now: asker, drafted: asker }, question, facts);

const big = "has(arguments.size) && arguments.size > 10";
const redacted = { ...rule("mask", "require"), obligations: { redaction: "cards" } };

describe("P16: what a draft would have made of a call", () => {
  test.each<[string, PolicyInput, PolicyInput, object]>([
    ["nothing", policy([]), policy([]), { change: "unchanged" }],
    ["a denial", policy([]), policy([rule("no", "deny")]), { change: "newly-denied" }],
    ["a right", policy([], []), policy([rule("yes", "allow")], []), { change: "newly-allowed" }],
    ["an obligation", policy([]), policy([redacted]), { change: "obligations" }],
    [
      "a condition on the time, which is recorded",
      policy([]),
      policy([rule("noon", "deny", { when: "time.getHours() == 12" })]),
      { change: "newly-denied" },
    ],
    [
      "a condition on the peer, which is recorded",
      policy([]),
      policy([rule("lan", "deny", { when: 'peer != "10.0.0.7"' })]),
      { change: "unchanged" },
    ],
    [
      "a condition on arguments, which are not",
      policy([]),
      policy([rule("big", "deny", { when: big })]),
      { change: "undetermined", reason: "conditions of big hang on what is not recorded" },
    ],
    [
      "a condition on claims, which are not",
      policy([], []),
      policy([rule("mfa", "allow", { when: 'principal.acr == "high"' })], []),
      { change: "undetermined" },
    ],
    [
      "the same condition on both sides",
      policy([rule("big", "deny", { when: big })]),
      policy([rule("big", "deny", { when: big }), rule("other", "deny", { server: "t" })]),
      { change: "unchanged" },
    ],
    [
      "an open grant in place of a sure one",
      policy([rule("small", "allow", { when: big })]),
      policy([rule("small", "allow", { when: big })], []),
      { change: "undetermined" },
    ],
    [
      "an open denial that a sure one covers",
      policy([rule("big", "deny", { when: big }), rule("no", "deny")]),
      policy([rule("no", "deny")]),
      { change: "unchanged" },
    ],
    [
      "an open obligation that the draft adds to",
      policy([{ ...redacted, condition: rule("", "require", { when: big }).condition }]),
      policy([redacted]),
      { change: "undetermined" },
    ],
  ])("%s", (_name, now, drafted, expected) => {
    expect(compare(now, drafted)).toMatchObject(expected);
  });

  test("a role that the draft takes from a client's registration is missed on its side alone", () => {
    const roles = policy([]);
    const judged = createComparison(roles, roles)(
      { now: asker, drafted: { ...asker, roles: [] } },
      question,
      facts,
    );
    expect(judged).toMatchObject({ change: "newly-denied", now: { ruleId: "role:reader" } });
  });
});

const conditions = [
  undefined,
  "has(arguments.a)",
  "has(arguments.b) && arguments.b == true",
  "arguments.a == 1",
  "!has(arguments.a) || arguments.a == 1",
  '"reader" in principal.roles && has(arguments.b)',
  "time.getHours() == 12",
  'principal.acr == "high"',
];
const argumentTexts = [undefined, "{}", '{"a":1}', '{"a":2}', '{"b":true}', '{"a":1,"b":true}'];
const acrs = [undefined, "high", "low"];
const casesMax = Number(process.env.REPLAY_CASES ?? 500);

test("P16: over random policies nothing is said of a call that its arguments could have made false", () => {
  const random = createRandom(20_260);
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
  const seen: Record<string, number> = {};
  const randomRule = (index: number): Rule => {
    const effect = pick(["deny", "allow", "require"] as const);
    const scopes = effect === "require" ? ["x", "y"] : [undefined, "x", "y"];
    const asked = effect === "deny" ? undefined : pick(scopes);
    const more = asked === undefined ? {} : { obligations: { scopes: [asked] } };
    return { ...rule(`r${index}`, effect, { when: pick(conditions) }), ...more };
  };
  for (let at = 0; at < casesMax; at += 1) {
    const shared = Array.from({ length: random(4) }, (_, index) => randomRule(index));
    const own = () => Array.from({ length: random(3) }, (_, index) => randomRule(10 + index));
    const roles = () => (random(2) === 0 ? [] : [reader]);
    const now = policy([...shared, ...own()], roles());
    const drafted = policy([...shared, ...own()], roles());
    const said = compare(now, drafted);
    seen[said.change] = (seen[said.change] ?? 0) + 1;
    const actual = new Set<Comparison["change"]>();
    const [before, after] = [compilePolicy(now), compilePolicy(drafted)];
    for (const acr of acrs) {
      const caller = { ...asker, acr };
      for (const argumentsText of argumentTexts) {
        const call = { argumentsText, peer: facts.peer, nowMs: facts.timeMs };
        const [a, b] = [before, after].map((one) => one.decide(caller, { ...question, call }));
        if (a !== undefined && b !== undefined) actual.add(changeOf(a, b));
      }
    }
    if (said.change !== "undetermined") {
      expect({ at, said: [...actual] }).toEqual({ at, said: [said.change] });
    }
  }
  // Every answer came up, so the loop above was about something.
  expect(Object.keys(seen).sort()).toEqual([
    "newly-allowed",
    "newly-denied",
    "obligations",
    "unchanged",
    "undetermined",
  ]);
});

function changeOf(now: Decision, drafted: Decision): Comparison["change"] {
  if (now.allowed !== drafted.allowed) return drafted.allowed ? "newly-allowed" : "newly-denied";
  const owed = ({ obligations }: Decision) => JSON.stringify(obligations ?? null);
  return !now.allowed || owed(now) === owed(drafted) ? "unchanged" : "obligations";
}
