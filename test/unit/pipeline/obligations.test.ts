/** What a call owes, against what its credential brings: which refusal, and that one challenge says all. */

import { describe, expect, test } from "bun:test";
import type { Principal } from "../../../src/identity/principal.ts";
import { unmetFault } from "../../../src/pipeline/obligations.ts";
import type { Obligations } from "../../../src/policy/rule.ts";
import { clientPrincipal, userPrincipal } from "../../support/principals.ts";

const nowMs = 1_800_000_000_000;
const user = userPrincipal("ann");
const client = clientPrincipal("ci");
const anonymous: Principal = { ...client, kind: "anonymous", id: "anonymous" };
const nothing: Obligations = {
  scopes: [],
  stepUp: [],
  approval: false,
  redaction: undefined,
  auditClass: undefined,
  rateTier: undefined,
  rateLimits: [],
};
const stepUp = (more: object) => ({
  ...nothing,
  stepUp: [{ acrValues: [], amrValues: [], maxAgeSeconds: undefined, ...more }],
});
const scoped = { ...nothing, scopes: ["files:read", "files:write"] };

describe("A09 P09 what is owed", () => {
  const table: readonly [string, Obligations | undefined, Principal, string | undefined][] = [
    ["nothing at all", undefined, user, undefined],
    ["no demand", nothing, anonymous, undefined],
    [
      "what only the way back does",
      { ...nothing, redaction: "pii", auditClass: "A" },
      user,
      undefined,
    ],
    [
      "every scope there",
      scoped,
      { ...user, scopes: ["files:write", "x", "files:read"] },
      undefined,
    ],
    ["one scope missing", scoped, { ...user, scopes: ["files:read"] }, "insufficient-scope"],
    [
      "a longer scope is another",
      scoped,
      { ...user, scopes: ["files:read", "files:write2"] },
      "insufficient-scope",
    ],
    ["a token without scopes", scoped, user, "insufficient-scope"],
    ["a client token knows no scopes", scoped, client, undefined],
    ["nobody has no scopes", scoped, anonymous, "unauthenticated"],
    ["acr as asked", stepUp({ acrValues: ["gold"] }), { ...user, acr: "gold" }, undefined],
    ["another acr", stepUp({ acrValues: ["gold"] }), { ...user, acr: "tin" }, "step-up-required"],
    ["no acr", stepUp({ acrValues: ["gold"] }), user, "step-up-required"],
    [
      "one amr of several",
      stepUp({ amrValues: ["otp", "hwk"] }),
      { ...user, amr: ["pwd", "hwk"] },
      undefined,
    ],
    ["no such amr", stepUp({ amrValues: ["otp"] }), { ...user, amr: ["pwd"] }, "step-up-required"],
    [
      "just recent enough",
      stepUp({ maxAgeSeconds: 60 }),
      { ...user, authenticatedAtMs: nowMs - 60_000 },
      undefined,
    ],
    [
      "a moment too old",
      stepUp({ maxAgeSeconds: 60 }),
      { ...user, authenticatedAtMs: nowMs - 60_001 },
      "step-up-required",
    ],
    [
      "from the far future",
      stepUp({ maxAgeSeconds: 60 }),
      { ...user, authenticatedAtMs: nowMs + 3_600_000 },
      "step-up-required",
    ],
    [
      "no time of login",
      stepUp({ maxAgeSeconds: 60 }),
      { ...user, acr: "gold" },
      "step-up-required",
    ],
    ["a client token proves no login", stepUp({ acrValues: ["gold"] }), client, "step-up-required"],
    ["nobody proves nothing", stepUp({ acrValues: ["gold"] }), anonymous, "unauthenticated"],
    ["approval", { ...nothing, approval: true }, client, "approval-required"],
    ["approval comes last", { ...scoped, approval: true }, user, "insufficient-scope"],
  ];
  test.each(table)("%s", (_name, owed, principal, want) => {
    expect(unmetFault(owed, principal, nowMs)?.name).toBe(want as never);
  });
});

describe("one challenge with everything", () => {
  const both = {
    ...stepUp({ acrValues: ["gold", "silver"], maxAgeSeconds: 300 }),
    scopes: ["a", "b"],
  };

  test("scopes and login both missing: 403, RFC 6750, with what RFC 9470 would ask next", () => {
    const fault = unmetFault(both, user, nowMs);
    expect(fault?.challenge).toBe(
      'error="insufficient_scope", scope="a b", acr_values="gold silver", max_age="300"',
    );
    expect(fault?.data).toEqual({
      error: "insufficient_scope",
      scope: "a b",
      acr_values: "gold silver",
      max_age: "300",
    });
  });

  test("the login alone missing: RFC 9470, with the scopes the new token must keep", () => {
    const fault = unmetFault(both, { ...user, scopes: ["b", "a"] }, nowMs);
    expect(fault?.challenge).toBe(
      'error="insufficient_user_authentication", scope="a b", acr_values="gold silver", max_age="300"',
    );
  });

  test("the scopes alone missing: nothing is said of a login that is good", () => {
    const good = { ...user, acr: "gold", authenticatedAtMs: nowMs };
    expect(unmetFault(both, good, nowMs)?.challenge).toBe(
      'error="insufficient_scope", scope="a b"',
    );
  });

  test("several demands: each must be met, and the challenge names what meets all", () => {
    const [gold] = stepUp({ acrValues: ["gold", "silver"] }).stepUp;
    const [metal] = stepUp({ acrValues: ["silver", "tin"], amrValues: ["otp"] }).stepUp;
    const owed = { ...nothing, stepUp: gold && metal ? [gold, metal] : [] };
    const fault = unmetFault(owed, { ...user, acr: "gold", amr: ["otp"] }, nowMs);
    expect(fault?.data).toMatchObject({ acr_values: "silver", amr_values: "otp" });
    expect(unmetFault(owed, { ...user, acr: "silver", amr: ["otp"] }, nowMs)).toBeUndefined();
  });

  test("nobody is told to log in, without an error code (RFC 6750, section 3.1)", () => {
    expect(unmetFault(scoped, anonymous, nowMs)?.challenge).toBe('scope="files:read files:write"');
  });
});
