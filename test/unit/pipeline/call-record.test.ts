/** What a record keeps of the asker and of what the decision brought, for the policy's replay and for auditors. */
import { expect, test } from "bun:test";
import type { Decision } from "../../../src/policy/rule.ts";
import { clientOf, createDataPlane, type FakeServer, roleOf } from "../../support/data-plane.ts";

const files: FakeServer = { name: "files", tools: ["read"] };
const roles = ["a", "b"];
const decision: Decision = {
  allowed: true,
  reason: "allowed",
  ruleId: "role:a",
  obligations: {
    scopes: ["s"],
    stepUp: [],
    approval: false,
    redaction: undefined,
    auditClass: "A",
    rateTier: undefined,
    rateLimits: [],
  },
};

function planeOf(more: object, names: readonly string[] = roles) {
  const state = [...clientOf("ann", more), ...names.map((name) => roleOf(name, []))];
  const policy = { decide: () => decision, seesServer: () => true };
  return createDataPlane([files], state, undefined, { compile: () => policy });
}

test("P15: both records name what the decision brought, the last what policy saw of the asker", async () => {
  const plane = planeOf({ roles });
  await plane.ask("ann", "tools/call", { name: "read" }, "files");
  const [intent, outcome] = plane.records;
  expect(plane.records).toHaveLength(2);
  for (const { facts, details } of plane.records) {
    expect(facts).toMatchObject({ decision: "role:a", owed: "scopes,audit:A" });
    expect(details.principal).toBe("client:ann");
    // Names of roles are personal enough to be forgotten: they are never in the hashed part.
    expect(facts).not.toHaveProperty("roles");
  }
  expect(intent?.details).not.toHaveProperty("roles");
  expect(outcome?.details.roles).toBe('["a","b"]');
  // Empty is left out.
  expect(outcome?.details.groups).toBeUndefined();
  expect(outcome?.details.askerCut).toBeUndefined();
});

test("a list is cut at whole names, and says so", async () => {
  const many = Array.from({ length: 60 }, (_, index) => `role-${index}-${"x".repeat(40)}`);
  const plane = planeOf({ roles: many }, many);
  await plane.ask("ann", "tools/call", { name: "read" }, "files");
  const { details } = plane.records[1] ?? {};
  const kept: unknown = JSON.parse(String(details?.roles));
  expect(kept).toEqual(many.slice(0, Array.isArray(kept) ? kept.length : 0));
  expect(String(details?.roles).length).toBeLessThanOrEqual(2_048);
  expect(details?.askerCut).toBe(true);
});
