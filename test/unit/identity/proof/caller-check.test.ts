/** What a registration and a token's binding ask of a caller, beside a credential that is good. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Credential, Evidence, Principal } from "../../../../src/identity/principal.ts";
import {
  type CheckedClient,
  createCallerCheck,
} from "../../../../src/identity/proof/caller-check.ts";
import { createSigningSecret } from "../../../../src/identity/proof/signing-key.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { createMetrics } from "../../../../src/telemetry/metrics.ts";
import { createAuthority } from "../../../support/certificates.ts";
import { clientPrincipal } from "../../../support/principals.ts";
import { createDpopKey } from "../../../support/proofs.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

const folder = temporaryFolder("caller-check");
afterAll(() => folder[Symbol.asyncDispose]());
const ders: Record<"agent" | "other" | "twoNames", Uint8Array> = {
  agent: new Uint8Array(),
  other: new Uint8Array(),
  twoNames: new Uint8Array(),
};

beforeAll(async () => {
  const authority = await createAuthority(folder.path);
  const issue = async (name: string, names: string) => {
    const { certificateFile } = await authority.issue(name, names);
    return new X509Certificate(readFileSync(certificateFile)).raw;
  };
  ders.agent = await issue("agent", "DNS:agent.example,URI:spiffe://example/agent");
  ders.other = await issue("other", "DNS:other.example");
  ders.twoNames = await issue("two", "DNS:agent.example,DNS:other.example");
});

const base = { id: "ci", enabled: true, roles: ["reader"] };
const bearer: Credential = { kind: "bearer", token: "t" };
const url = "https://gateway.example/notes/mcp";

function createCheck() {
  return createCallerCheck({
    clock: systemClock,
    metrics: createMetrics(),
    secretOf: createSigningSecret(Buffer.alloc(32)),
    proofWindowSeconds: 120,
    proofsRememberedMax: 100,
    dpopNonce: false,
  });
}

function principalOf(cnf?: unknown): Principal {
  return clientPrincipal("ci", { claims: cnf === undefined ? undefined : { cnf } });
}

function evidenceOf(certificate?: Uint8Array, headers: Record<string, string> = {}): Evidence {
  return { method: "POST", url, headers: new Headers(headers), certificate, body: undefined };
}

const directoryOf = (...clients: CheckedClient[]) => ({
  clients: new Map(clients.map((client) => [client.id, client])),
});

test("A08: networks: denied beats allowed, and a refusal looks like a bad token", async () => {
  const rows: readonly (readonly [Partial<CheckedClient>, address: string, isIn: boolean])[] = [
    [{}, "203.0.113.9", true],
    [{ allowedNetworks: ["10.0.0.0/8"] }, "10.1.2.3", true],
    [{ allowedNetworks: ["10.0.0.0/8"] }, "::ffff:10.1.2.3", true],
    [{ allowedNetworks: ["10.0.0.0/8"] }, "203.0.113.9", false],
    [{ allowedNetworks: ["10.0.0.0/8"] }, "", false],
    [{ deniedNetworks: ["10.1.0.0/16"] }, "10.1.2.3", false],
    [{ deniedNetworks: ["10.1.0.0/16"] }, "::ffff:a01:203", false],
    [{ allowedNetworks: ["10.0.0.0/8"], deniedNetworks: ["10.1.0.0/16"] }, "10.1.2.3", false],
  ];
  const check = createCheck();
  for (const [more, address, isIn] of rows) {
    const facts = { credential: bearer, peer: { address } };
    const directory = directoryOf({ ...base, ...more });
    const fault = await check.check(principalOf(), facts, directory);
    expect(fault === undefined, address).toBe(isIn);
    expect(check.holds(principalOf(), facts, directory)).toBe(isIn);
    if (fault !== undefined) {
      expect(fault).toMatchObject({
        name: "unauthenticated",
        message: "Authentication required",
        challenge: 'error="invalid_token"',
      });
    }
  }
});

test("A02: a certificate identifies the one client it names, in its time", () => {
  const check = createCheck();
  const sha256 = new X509Certificate(ders.other).fingerprint256.replaceAll(":", "").toLowerCase();
  const directory = directoryOf(
    { ...base, certificates: ["uri:spiffe://example/agent"] },
    { ...base, id: "cd", certificates: [`sha256:${sha256}`] },
  );
  const agent = check.byCertificate(ders.agent, directory);
  expect(agent).toMatchObject({ id: "client:ci", roles: ["reader"] });
  expect(check.byCertificate(ders.agent, directory)).toBe(agent);
  expect(check.byCertificate(ders.other, directory)).toMatchObject({ id: "client:cd" });
  if ("name" in agent) throw new Error("refused");
  expect(check.isCertified(agent, directory)).toBe(true);
  expect(check.isCertified(principalOf(), directory)).toBeUndefined();
  const gone = [
    directoryOf(base),
    directoryOf(),
    directoryOf({ ...base, enabled: false, certificates: ["uri:spiffe://example/agent"] }),
  ];
  for (const next of gone) {
    expect(check.isCertified(agent, next)).toBe(false);
    expect(check.byCertificate(ders.agent, next)).toMatchObject({ name: "unauthenticated" });
  }
  expect(check.byCertificate(Buffer.from("junk"), directory)).toMatchObject({
    reason: "certificate-unreadable",
  });
});

test("A02: a certificate that names two clients is nobody's", () => {
  const directory = directoryOf(
    { ...base, certificates: ["dns:agent.example"] },
    { ...base, id: "cd", certificates: ["dns:other.example"] },
  );
  expect(createCheck().byCertificate(ders.twoNames, directory)).toMatchObject({
    reason: "certificate-unknown",
  });
});

test("AN-21: a token is worth nothing without the certificate of its client, or of its own", async () => {
  const check = createCheck();
  const thumbprint = Buffer.from(
    new X509Certificate(ders.agent).fingerprint256.replaceAll(":", ""),
    "hex",
  ).toString("base64url");
  const registered = directoryOf({ ...base, certificates: ["dns:agent.example"] });
  const rows: readonly (readonly [
    Principal,
    typeof registered,
    Uint8Array | undefined,
    boolean,
  ])[] = [
    [principalOf(), registered, ders.agent, true],
    [principalOf(), registered, ders.other, false],
    [principalOf(), registered, undefined, false],
    [principalOf({ "x5t#S256": thumbprint }), directoryOf(base), ders.agent, true],
    [principalOf({ "x5t#S256": thumbprint }), directoryOf(base), ders.other, false],
    [principalOf({ "x5t#S256": thumbprint }), directoryOf(base), undefined, false],
  ];
  for (const [principal, directory, der, isIn] of rows) {
    const evidence = der === undefined ? undefined : evidenceOf(der);
    const facts = { credential: bearer, peer: { address: "" }, evidence };
    expect((await check.check(principal, facts, directory)) === undefined).toBe(isIn);
    expect(check.holds(principal, facts, directory)).toBe(isIn);
  }
});

test("AN-21: a binding that we cannot check binds all the same", async () => {
  for (const cnf of [
    {},
    null,
    "x",
    [],
    { jwk: {} },
    { kid: "k" },
    { jkt: 1 },
    { jkt: "j", x: 1 },
  ]) {
    const facts = { credential: bearer, peer: { address: "" } };
    const fault = await createCheck().check(principalOf(cnf), facts, directoryOf(base));
    expect(fault, JSON.stringify(cnf)).toMatchObject({ reason: "token-binding-unknown" });
  }
});

test("AN-21: a token bound to a key comes with a proof by that key, as DPoP", async () => {
  const [key, thief] = [await createDpopKey(), await createDpopKey()];
  const bound = principalOf({ jkt: key.thumbprint });
  const dpop: Credential = { kind: "bearer", token: "t", scheme: "dpop" };
  const request = { method: "POST", url, token: "t" };
  const peer = { address: "" };
  const check = createCheck();
  const directory = directoryOf(base);
  const ask = (credential: Credential, evidence?: Evidence, principal = bound) =>
    check.check(principal, { credential, peer, evidence }, directory);

  const evidence = evidenceOf(undefined, { dpop: await key.prove(request) });
  // All the messages of a batch ask at once, and later ones on a socket again.
  expect(await Promise.all([ask(dpop, evidence), ask(dpop, evidence)])).toEqual([
    undefined,
    undefined,
  ]);
  expect(await ask(dpop, evidence)).toBeUndefined();
  expect(check.holds(bound, { credential: dpop, peer, evidence }, directory)).toBe(true);

  const stolen = evidenceOf(undefined, { dpop: await thief.prove(request) });
  const plain = evidenceOf(undefined, { dpop: await key.prove(request) });
  expect(await ask(dpop, stolen)).toMatchObject({ scheme: "DPoP", reason: "dpop" });
  expect(await ask(dpop)).toMatchObject({ scheme: "DPoP" });
  expect(await ask(bearer)).toMatchObject({ reason: "token-bound-to-key" });
  expect(await ask(bearer, plain)).toMatchObject({ reason: "token-bound-to-key" });
  expect(await ask(dpop, plain, principalOf())).toMatchObject({ reason: "token-not-bound" });
  expect(check.holds(bound, { credential: dpop, peer, evidence: stolen }, directory)).toBe(false);
});

test("A07: required is required, optional is checked where it comes, and a lost key ends it", async () => {
  const salt = "A".repeat(22);
  const key = { keyId: "k", algorithm: "hmac-sha256", publicKey: undefined, salt } as const;
  const facts = { credential: bearer, peer: { address: "" } };
  const check = createCheck();
  const ask = (more: Partial<CheckedClient>, evidence?: Evidence) =>
    check.check(principalOf(), { ...facts, evidence }, directoryOf({ ...base, ...more }));
  const junk = evidenceOf(undefined, { "signature-input": "s=()", signature: "s=::" });
  expect(await ask({ signingKeys: [key] })).toBeUndefined();
  expect(await ask({ signingKeys: [key], requireSignatures: true })).toMatchObject({
    message: "Request signature refused: a signature is needed",
  });
  expect(await ask({ signingKeys: [key] }, junk)).toMatchObject({ reason: "signature" });
  // Of a client without keys it says nothing: a proxy may have signed.
  expect(await ask({}, junk)).toBeUndefined();
});
