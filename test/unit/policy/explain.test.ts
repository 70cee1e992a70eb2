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
  });
  expect(explain(input, asker, { ...question, target: "x" })).toMatchObject({
    decision: { allowed: true, ruleId: "role:reader" },
    deniedBy: [],
    grantedBy: ["role:reader"],
  });
});
