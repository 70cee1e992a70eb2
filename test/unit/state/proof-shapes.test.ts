/** What clients may be registered with to prove themselves (A03): each field is understood or refused by name. */
import { expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { clientShape } from "../../../src/state/resource-shapes.ts";

const base = {
  id: "ci",
  displayName: "",
  enabled: true,
  allowedTools: [],
  allowedResources: [],
  allowedPrompts: [],
  roles: [],
  allowedOrigins: [],
  limits: {},
};
const pemOf = (pair: { publicKey: { export(options: object): string | Buffer } }) =>
  pair.publicKey.export({ type: "spki", format: "pem" }).toString();
const ed = pemOf(generateKeyPairSync("ed25519"));
const ec = pemOf(generateKeyPairSync("ec", { namedCurve: "P-256" }));
const ec384 = pemOf(generateKeyPairSync("ec", { namedCurve: "P-384" }));
const rsa = pemOf(generateKeyPairSync("rsa", { modulusLength: 2048 }));
const rsa1024 = pemOf(generateKeyPairSync("rsa", { modulusLength: 1024 }));
const privatePem = generateKeyPairSync("ed25519")
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();
const key = (algorithm: string, publicKey?: string, salt?: string) => ({
  signingKeys: [{ keyId: "k1", algorithm, publicKey, salt }],
});
const salt = "A".repeat(22);

test("A03: good ones, and a client of before they existed", () => {
  const good: readonly object[] = [
    {},
    { allowedNetworks: ["10.0.0.0/8"], deniedNetworks: ["::1"] },
    { certificates: [`sha256:${"a".repeat(64)}`, "dns:a.example", "uri:spiffe://a/b"] },
    { ...key("ed25519", ed), requireSignatures: true },
    key("ecdsa-p256-sha256", ec),
    key("rsa-pss-sha512", rsa),
    key("hmac-sha256", undefined, salt),
  ];
  for (const more of good) expect(clientShape({ ...base, ...more }, "client").id).toBe("ci");
});

const bad: readonly (readonly [more: object, why: RegExp])[] = [
  [{ sandboxMode: true }, /unknown member "sandboxMode"/],
  [{ requireAuth: false }, /unknown member "requireAuth"/],
  [{ allowedNetworks: ["10.0.0.0/33"] }, /allowedNetworks\[0\]: must be an address/],
  [{ deniedNetworks: ["*"] }, /deniedNetworks\[0\]/],
  [{ certificates: ["sha256:AA"] }, /certificates\[0\]/],
  [{ certificates: ["cn:agent"] }, /certificates\[0\]/],
  [{ certificates: ["dns:A.example"] }, /certificates\[0\]/],
  [{ requireSignatures: true }, /needs a signing key/],
  [key("rsa-v1_5-sha256", rsa), /algorithm: must be one of/],
  [key("ed25519", ec), /must be an Ed25519 key/],
  [key("ecdsa-p256-sha256", ec384), /curve P-256/],
  [key("rsa-pss-sha512", rsa1024), /at least 2048 bits/],
  [key("ed25519", privatePem), /BEGIN PUBLIC KEY/],
  [key("ed25519", "-----BEGIN PUBLIC KEY-----"), /cannot? be read|that can be read/],
  [key("ed25519"), /BEGIN PUBLIC KEY/],
  [key("ed25519", ed, salt), /salt: is for hmac-sha256 alone/],
  [key("hmac-sha256", ed, salt), /IssueSigningSecret/],
  [key("hmac-sha256"), /IssueSigningSecret/],
  [key("hmac-sha256", undefined, "chosen-by-hand"), /a salt from IssueSigningSecret/],
  [
    {
      signingKeys: [...key("ed25519", ed).signingKeys, ...key("ecdsa-p256-sha256", ec).signingKeys],
    },
    /two of one key id/,
  ],
];

test.each(bad)("A03: refused: %j", (more, why) => {
  expect(() => clientShape({ ...base, ...more }, "client")).toThrow(why);
});
