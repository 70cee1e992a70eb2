/** AN-14: what operators revoked of other issuers' tokens. */
import { expect, test } from "bun:test";
import type { JwtClaims } from "../../../src/identity/jwt-claims.ts";
import { isRevoked } from "../../../src/identity/revocations.ts";
import { indexRevocations } from "../../../src/state/revoked.ts";

const row = { id: "", reason: "", expiresAtMs: undefined };
const index = indexRevocations([
  { ...row, issuer: "i", tokenId: "t1", subject: undefined, issuedUntilMs: undefined },
  { ...row, issuer: "i", tokenId: undefined, subject: "ann", issuedUntilMs: 1000 },
]);
const claims = (more: Partial<JwtClaims>) =>
  ({ issuer: "i", subject: "bo", tokenId: undefined, issuedAtMs: 2000, ...more }) as JwtClaims;

test.each<[string, Partial<JwtClaims>, boolean]>([
  ["another token", { tokenId: "t2" }, false],
  ["the token", { tokenId: "t1" }, true],
  ["the token's id of another issuer", { issuer: "j", tokenId: "t1" }, false],
  ["an old token of the subject", { subject: "ann", issuedAtMs: 1000 }, true],
  ["a newer token of the subject", { subject: "ann", issuedAtMs: 1001 }, false],
  ["one that does not say when", { subject: "ann", issuedAtMs: undefined }, true],
  ["the subject's name as a token's id", { tokenId: "ann" }, false],
])("%s", (_name, more, want) => {
  expect(isRevoked(index, claims(more))).toBe(want);
});

test("nothing is revoked where there is no list", () => {
  expect(isRevoked(undefined, claims({}))).toBe(false);
});
