import { describe, expect, test } from "bun:test";
import { UsageError } from "../../../src/cli/command.ts";
import { checkRequest } from "../../../src/cli/request-check.ts";

function refusal(type: string, request: object): string | undefined {
  try {
    checkRequest(type, request);
    return undefined;
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

describe("AZ-18: JSON that an operator wrote", () => {
  test.each([
    ["at the top", "RegisterClientRequest", { is_admin: true }, 'no member "is_admin"'],
    ["nested", "RegisterClientRequest", { client: { id: "a", role: "x" } }, "did you mean roles?"],
    ["of another spelling", "RegisterClientRequest", { client: { tenantId: "x" } }, "tenantId"],
    ["in a list", "CreateRoleRequest", { role: { permissions: [{ all: 1 }] } }, "role.permissions"],
    ["metadata that is nobody's", "GetRoleRequest", { metadata: {} }, 'no member "metadata"'],
    ["a list that is none", "CreateRoleRequest", { role: { permissions: {} } }, "is a list"],
    ["a message that is text", "CreateRoleRequest", { role: "x" }, "role is an object"],
    ["an unknown choice", "CreateRuleRequest", { rule: { effect: "ALLOW" } }, "RULE_EFFECT_ALLOW"],
    ["text for a number", "ListRolesRequest", { page_size: "3" }, "page_size is a number"],
    ["a number for text", "GetRoleRequest", { name: 3 }, "name is a string"],
    ["__proto__", "GetRoleRequest", JSON.parse('{"__proto__":{"a":1}}'), '"__proto__"'],
  ] as const)("is refused: %s", (_name, type, request, why) => {
    expect(refusal(type, request)).toContain(why);
  });

  test.each([
    ["nothing", "ListRolesRequest", {}],
    ["everything", "GetRoleRequest", { name: "a", tenant: "b" }],
    ["an answer sent back", "UpdateRoleRequest", { role: { name: "a", metadata: { any: 1 } } }],
    ["a map", "RegisterServerRequest", { server: { remote: { headers: { any: "x" } } } }],
    ["null for unset", "CreateRuleRequest", { rule: null }],
    ["a choice", "CreateRuleRequest", { rule: { effect: "RULE_EFFECT_DENY", enabled: true } }],
  ] as const)("is taken: %s", (_name, type, request) => {
    expect(refusal(type, request)).toBeUndefined();
  });
});
