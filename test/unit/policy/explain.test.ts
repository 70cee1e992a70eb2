/** Explanations name everything that spoke for or against a call (P15), and the state's resources fit as input. */
import { expect, test } from "bun:test";
import { explain } from "../../../src/policy/explain.ts";
import type { PolicyInput } from "../../../src/policy/rule.ts";
import type {
  BindingResource,
  ClientResource,
  RoleResource,
  RuleResource,
} from "../../../src/state/resources.ts";

const client: ClientResource = {
  id: "ci",
  displayName: "CI",
  enabled: true,
  allowedTools: ["s__t"],
  allowedResources: [],
  allowedPrompts: [],
  roles: [],
  allowedOrigins: [],
  limits: {},
};
const role: RoleResource = {
  name: "reader",
  description: "",
  permissions: [{ resource: "mcp:s:*", actions: ["invoke_tool"] }],
};
const binding: BindingResource = {
  name: "b",
  roles: ["reader", "ghost"],
  users: [],
  groups: ["/ops"],
};
const rule = (name: string, effect: "allow" | "deny"): RuleResource => ({
  name,
  effect,
  priority: 1,
  enabled: true,
  condition: {
    server: "s",
    targetPattern: "t.*",
    ignoreCase: false,
    principal: undefined,
    action: undefined,
  },
});

test("P15 every matching rule, list and role is named", () => {
  const input: PolicyInput = {
    clients: [client],
    roles: [role],
    bindings: [binding],
    rules: [rule("yes", "allow"), rule("no", "deny")],
  };
  const asker = {
    id: "client:ci",
    clientId: "ci",
    subject: undefined,
    roles: [],
    groups: ["/ops"],
  };
  const question = { server: "s", kind: "tool", target: "t", action: "invoke_tool" } as const;
  expect(explain(input, asker, question)).toEqual({
    decision: { allowed: false, reason: "denied by rule no", ruleId: "rule:no" },
    roles: ["ghost", "reader"],
    deniedBy: ["rule:no"],
    grantedBy: ["rule:yes", "client:ci", "role:reader"],
    requiredBy: [],
    conditions: [],
  });
  expect(explain(input, asker, { ...question, target: "x" })).toMatchObject({
    decision: { allowed: true, ruleId: "role:reader" },
    deniedBy: [],
    grantedBy: ["role:reader"],
  });
});

test("P15 for one call: how each condition turned out, what is required, what is owed", () => {
  const when = (name: string, effect: "allow" | "deny", text: string): RuleResource => ({
    ...rule(name, effect),
    condition: { ...rule(name, effect).condition, when: text },
  });
  const input: PolicyInput = {
    clients: [client],
    roles: [],
    bindings: [],
    rules: [
      when("far", "deny", 'arguments.path == "/etc"'),
      when("late", "deny", 'time > timestamp("2030-01-01T00:00:00Z")'),
      when("near", "allow", 'peer.inNetwork("10.0.0.0/8")'),
      { ...rule("ask", "allow"), effect: "require", obligations: { approval: true } },
    ],
    servers: [{ name: "s", tools: [{ tool: "t", riskTier: "high", requiredRoles: ["boss"] }] }],
  };
  const asker = {
    id: "client:ci",
    clientId: "ci",
    subject: undefined,
    roles: ["boss"],
    groups: [],
  };
  const question = { server: "s", kind: "tool", target: "t", action: "invoke_tool" } as const;
  const call = { argumentsText: '{"path":["/etc"]}', peer: "10.0.0.1", nowMs: 1_760_000_000_000 };
  expect(explain(input, asker, { ...question, call })).toEqual({
    decision: { allowed: false, reason: "denied by rule far", ruleId: "rule:far" },
    roles: ["boss"],
    deniedBy: ["rule:far"],
    grantedBy: ["rule:near", "client:ci"],
    requiredBy: ["rule:ask"],
    conditions: [
      { rule: "far", effect: "deny", outcome: "failed" },
      { rule: "late", effect: "deny", outcome: "false" },
      { rule: "near", effect: "allow", outcome: "true" },
    ],
  });
  expect(explain(input, asker, question)).toMatchObject({
    decision: { allowed: true, obligations: { approval: true } },
    conditions: [{ outcome: "unknown" }, { outcome: "unknown" }, { outcome: "unknown" }],
  });
  expect(explain(input, { ...asker, roles: [] }, question)).toMatchObject({
    decision: { ruleId: "tool:s__t" },
    deniedBy: ["tool:s__t"],
  });
  const none = { ...question, call: { ...call, argumentsText: "null" } };
  expect(explain(input, asker, none).conditions[0]).toMatchObject({ outcome: "failed" });
  for (const argumentsText of ["[1]", "{", "1"]) {
    const asked = { ...question, call: { ...call, argumentsText } };
    expect(() => explain(input, asker, asked)).toThrow("must be a JSON object");
  }
});
