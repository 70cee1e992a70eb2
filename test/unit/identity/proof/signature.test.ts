/** What a request signature must be and cover (A07), case by case, with time held still. */
import { expect, test } from "bun:test";
import { createHmac, generateKeyPairSync, hash, sign } from "node:crypto";
import { type InnerList, parseDictionary } from "structured-headers";
import type { Evidence } from "../../../../src/identity/principal.ts";
import { createReplays } from "../../../../src/identity/proof/replays.ts";
import { createSignatureCheck } from "../../../../src/identity/proof/signature.ts";
import { buildSignatureBase } from "../../../../src/identity/proof/signature-base.ts";
import { createSigningSecret } from "../../../../src/identity/proof/signing-key.ts";

const nowSeconds = 1_800_000_000;
const clock = { nowMs: () => nowSeconds * 1000, monotonicMs: () => 0 };
const secretOf = createSigningSecret(Buffer.alloc(32, 1));
const salt = "A".repeat(22);
const body = Buffer.from('{"jsonrpc":"2.0"}');
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const client = {
  id: "ci",
  signingKeys: [
    { keyId: "shared", algorithm: "hmac-sha256", publicKey: undefined, salt },
    {
      keyId: "own",
      algorithm: "ecdsa-p256-sha256",
      publicKey: ec.publicKey.export({ type: "spki", format: "pem" }).toString(),
      salt: undefined,
    },
  ],
} as const;
const allCovered = '("@method" "@target-uri" "authorization" "content-digest")';

interface Signing {
  readonly covered?: string;
  readonly parameters?: string;
  readonly keyId?: "shared" | "own";
  readonly nonce?: string;
  /** Done to the request after signing. */
  readonly tamper?: (evidence: { url: string; method: string; headers: Headers }) => void;
  readonly body?: Buffer;
}

let made = 0;

function signed(signing: Signing = {}): Evidence {
  made += 1;
  const keyId = signing.keyId ?? "shared";
  const nonce = signing.nonce ?? `nonce-number-${String(made).padStart(6, "0")}`;
  const parameters =
    signing.parameters ?? `;created=${nowSeconds};keyid="${keyId}";nonce="${nonce}"`;
  const input = (signing.covered ?? allCovered) + parameters;
  const evidence = {
    method: "POST",
    url: "https://gateway.example/notes/mcp",
    headers: new Headers({
      authorization: "Bearer mcpgw_x",
      "content-length": String(body.length),
      "content-digest": `sha-256=:${hash("sha256", body, "base64")}:`,
    }),
    certificate: undefined,
    body: signing.body ?? body,
  };
  const base = buildSignatureBase(evidence, parseDictionary(`s=${input}`).get("s") as InnerList);
  const bytes =
    keyId === "shared"
      ? createHmac("sha256", Buffer.from(secretOf("ci", "shared", salt), "base64url"))
          .update(base)
          .digest()
      : sign("sha256", Buffer.from(base), { key: ec.privateKey, dsaEncoding: "ieee-p1363" });
  evidence.headers.set("signature-input", `s=${input}`);
  evidence.headers.set("signature", `s=:${bytes.toString("base64")}:`);
  signing.tamper?.(evidence);
  return evidence;
}

function check(usedMax = 100) {
  const replays = createReplays({ clock, usedMax });
  return createSignatureCheck({ clock, replays, secretOf, windowSeconds: 120 });
}

test("A07: a good signature by either key names its key", () => {
  const signatures = check();
  expect(signatures.verify(signed(), client)).toEqual({ keyId: "shared" });
  expect(signatures.verify(signed({ keyId: "own" }), client)).toEqual({ keyId: "own" });
  const parts = '("@method" "@authority" "@path" "authorization" "content-digest")';
  expect(signatures.verify(signed({ covered: parts }), client)).toEqual({ keyId: "shared" });
});

const at = (seconds: number) =>
  `;created=${seconds};keyid="shared";nonce="abcdefghijklmnop-${seconds}"`;
const refused: readonly (readonly [what: string, signing: Signing, why: RegExp])[] = [
  ["too old", { parameters: at(nowSeconds - 121) }, /more than 120 s ago/],
  ["from the future", { parameters: at(nowSeconds + 31) }, /future/],
  ["expired", { parameters: `${at(nowSeconds)};expires=${nowSeconds}` }, /expired/],
  ["without created", { parameters: ';keyid="shared";nonce="abcdefghijklmnop"' }, /needs created/],
  ["without nonce", { parameters: `;created=${nowSeconds};keyid="shared"` }, /nonce of 16/],
  ["short nonce", { nonce: "short" }, /nonce of 16/],
  ["another algorithm", { parameters: `${at(nowSeconds)};alg="ed25519"` }, /alg must be hmac/],
  ["unknown key", { parameters: at(nowSeconds).replace("shared", "else") }, /not one of/],
  ["method uncovered", { covered: '("@target-uri" "authorization" "content-digest")' }, /@method/],
  ["token uncovered", { covered: '("@method" "@target-uri" "content-digest")' }, /authorization/],
  ["body uncovered", { covered: '("@method" "@target-uri" "authorization")' }, /content-digest/],
  [
    "path uncovered",
    { covered: '("@method" "authorization" "content-digest")' },
    /@authority, @path/,
  ],
  ["another body", { body: Buffer.from('{"jsonrpc":"2.1"}') }, /not the body's/],
  [
    "another path",
    { tamper: (e) => Object.assign(e, { url: e.url.replace("notes", "all") }) },
    /not verify/,
  ],
  ["another method", { tamper: (e) => Object.assign(e, { method: "PUT" }) }, /not verify/],
  [
    "another token",
    { tamper: (e) => e.headers.set("authorization", "Bearer mcpgw_y") },
    /not verify/,
  ],
  ["no signature", { tamper: (e) => e.headers.delete("signature") }, /are needed/],
  ["no bytes", { tamper: (e) => e.headers.set("signature", 's="text"') }, /no bytes for s/],
  ["junk", { tamper: (e) => e.headers.set("signature-input", "((") }, /must be dictionaries/],
  [
    "two by our keys",
    {
      tamper: (e) => {
        const [input, signature] = [e.headers.get("signature-input"), e.headers.get("signature")];
        e.headers.set("signature-input", `${input}, t${input?.slice(1)}`);
        e.headers.set("signature", `${signature}, t${signature?.slice(1)}`);
      },
    },
    /one signature/,
  ],
];

test.each(refused)("A07: refused: %s", (_, signing, why) => {
  const verdict = check().verify(signed(signing), client);
  expect(verdict).toEqual({ why: expect.stringMatching(why) });
});

test("A07: a signature is good once, and a forged copy does not use it up", () => {
  const signatures = check();
  const nonce = "the-same-nonce-again";
  const forged = signed({ nonce, tamper: (e) => Object.assign(e, { url: `${e.url}x` }) });
  expect(signatures.verify(forged, client)).toHaveProperty("why");
  expect(signatures.verify(signed({ nonce }), client)).toEqual({ keyId: "shared" });
  expect(signatures.verify(signed({ nonce }), client)).toEqual({
    why: "its nonce was used before",
  });
  // A nonce belongs to its key.
  expect(signatures.verify(signed({ nonce, keyId: "own" }), client)).toEqual({ keyId: "own" });
});

test("A07: a body that nobody read is not vouched for", () => {
  const evidence = signed();
  evidence.body = undefined;
  expect(check().verify(evidence, client)).toEqual({ why: "this request takes no body" });
});

test("A07: another client's key, or another salt, is another secret", () => {
  const signatures = check();
  expect(signatures.verify(signed(), { ...client, id: "cd" })).toHaveProperty("why");
  const renewed = { ...client.signingKeys[0], salt: "B".repeat(22) };
  const other = { id: "ci", signingKeys: [renewed] };
  expect(signatures.verify(signed(), other)).toEqual({ why: "it does not verify" });
});
