/** OAuth scopes by endpoint: who is challenged, and with what. */
import { expect, test } from "bun:test";
import { createFault } from "../../../src/errors/fault.ts";
import type { Principal } from "../../../src/identity/principal.ts";
import { createScopeCheck } from "../../../src/identity/required-scopes.ts";

const check = createScopeCheck([
  { scope: "*", oauthScopes: ["mcp"] },
  { scope: "notes", oauthScopes: ["notes:read", "mcp"] },
]);
const user = (scopes: readonly string[] | undefined, kind: Principal["kind"] = "user") =>
  ({ kind, scopes }) as Principal;

test("an endpoint needs its own and everybody's", () => {
  expect(check.needs("notes")).toEqual(["mcp", "notes:read"]);
  expect(check.needs("calculator")).toEqual(["mcp"]);
  expect(createScopeCheck([]).needs("notes")).toEqual([]);
});

test("a token that lacks one is told all of them", () => {
  expect(check.check(user(["mcp", "notes:read", "more"]), "notes")).toBeUndefined();
  expect(check.check(user(["mcp"]), "calculator")).toBeUndefined();
  expect(check.check(user(["mcp"]), "notes")).toMatchObject({
    name: "insufficient-scope",
    challenge: 'error="insufficient_scope", scope="mcp notes:read"',
  });
  expect(check.check(user(["MCP"]), "calculator")).toMatchObject({ name: "insufficient-scope" });
});

test("client tokens know no scopes; whoever presents nothing is asked to log in", () => {
  expect(check.check(user(undefined, "client"), "notes")).toBeUndefined();
  expect(check.check(user(undefined, "anonymous"), "notes")).toMatchObject({
    name: "unauthenticated",
    challenge: 'scope="mcp notes:read"',
  });
});

test("AN-24 a 401 says which scopes to ask for, and other refusals do not", () => {
  const fault = createFault("unauthenticated", "x", { challenge: 'error="invalid_token"' });
  expect(check.challenged(fault, "notes").challenge).toBe(
    'error="invalid_token", scope="mcp notes:read"',
  );
  const other = createFault("rate-limited", "x");
  expect(check.challenged(other, "notes")).toBe(other);
  expect(createScopeCheck([]).challenged(fault, "notes")).toBe(fault);
});
