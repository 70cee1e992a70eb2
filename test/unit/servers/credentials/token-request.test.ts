/** How a client proves itself at a token endpoint, and what is taken for a token. */
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { GatewayError } from "../../../../src/errors/fault.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import {
  requestToken,
  type TokenRequest,
} from "../../../../src/servers/credentials/token-request.ts";
import type { OAuthClient } from "../../../../src/servers/spec.ts";

interface Endpoint {
  readonly status?: number;
  readonly body?: unknown;
  readonly place?: Partial<TokenRequest["place"]>;
  readonly client?: Partial<OAuthClient>;
}

async function ask({ status = 200, body, place, client }: Endpoint = {}) {
  const good = { access_token: "t", token_type: "Bearer", expires_in: 60 };
  const seen: { params: URLSearchParams; headers: Readonly<Record<string, string>> }[] = [];
  const outcome = await requestToken({
    server: "crm",
    client: { grant: "client-credentials", clientId: "gateway", clientSecret: "s", ...client },
    place: {
      tokenUrl: "https://as.example/token",
      issuer: "https://as.example",
      methods: [],
      algorithms: undefined,
      resource: "https://crm.example/mcp",
      scopes: undefined,
      ...place,
    },
    scopes: undefined,
    subjectToken: undefined,
    fetch: async (_url, request = {}) => {
      seen.push({ params: new URLSearchParams(request.body), headers: request.headers ?? {} });
      const text = typeof body === "string" ? body : JSON.stringify(body ?? good);
      return { status, headers: new Map(), text };
    },
    clock: systemClock,
  }).catch((error: unknown) => (error instanceof GatewayError ? error.fault.reason : error));
  return { outcome, seen };
}

describe("what is taken for a token", () => {
  const token = (more: object) => ({ access_token: "t", token_type: "Bearer", ...more });
  const rows: readonly [string, Endpoint, unknown][] = [
    ["a bearer token", {}, { value: "t", lifetimeMs: 60_000 }],
    [
      "in lower case",
      { body: token({ token_type: "bearer", expires_in: "60" }) },
      { value: "t", lifetimeMs: 60_000 },
    ],
    ["without a lifetime", { body: token({}) }, { value: "t", lifetimeMs: 300_000 }],
    ["for ever", { body: token({ expires_in: 1e12 }) }, { value: "t", lifetimeMs: 86_400_000 }],
    [
      "with a lifetime below none",
      { body: token({ expires_in: -5 }) },
      { value: "t", lifetimeMs: 300_000 },
    ],
    ["DPoP", { body: token({ token_type: "DPoP" }) }, "oauth-token-type"],
    ["N_A", { body: token({ token_type: "N_A" }) }, "oauth-token-type"],
    ["no type", { body: { access_token: "t" } }, "oauth-token-type"],
    ["no token", { body: { token_type: "Bearer" } }, "oauth-token"],
    ["a line break", { body: token({ access_token: "t\r\nhost: x" }) }, "oauth-token"],
    ["no end", { body: token({ access_token: "t".repeat(20_000) }) }, "oauth-token"],
    ["no JSON", { body: "<html>" }, "oauth-status-200"],
    ["a list", { body: "[]" }, "oauth-status-200"],
    ["a redirect", { status: 302, body: "" }, "oauth-status-302"],
    ["a refusal", { status: 400, body: { error: "invalid_scope" } }, "oauth-invalid_scope"],
    ["a refusal in odd words", { status: 400, body: { error: "<b>\n" } }, "oauth-status-400"],
  ];
  test.each(rows)("%s", async (_name, endpoint, expected) => {
    const { outcome, seen } = await ask(endpoint);
    expect(outcome).toEqual(expected);
    expect(seen).toHaveLength(1);
  });
});

describe("private_key_jwt goes by the key and what the metadata allow", () => {
  const pem = (key: KeyObject) => String(key.export({ type: "pkcs8", format: "pem" }));
  const rsa = pem(generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey);
  const ec = (namedCurve: string) => pem(generateKeyPairSync("ec", { namedCurve }).privateKey);
  const rows: readonly [string, string, readonly string[] | undefined, string | undefined][] = [
    ["P-256", ec("P-256"), undefined, "ES256"],
    ["P-384", ec("P-384"), undefined, "ES384"],
    ["P-521", ec("P-521"), undefined, "ES512"],
    ["Ed25519", pem(generateKeyPairSync("ed25519").privateKey), undefined, "EdDSA"],
    ["RSA", rsa, undefined, "RS256"],
    ["RSA", rsa, ["PS256", "ES256"], "PS256"],
    ["RSA", rsa, ["ES256"], undefined],
    ["P-256", ec("P-256"), ["RS256"], undefined],
  ];
  test.each(rows)("%s", async (_name, privateKey, algorithms, expected) => {
    const client = { clientSecret: undefined, privateKey };
    const { outcome, seen } = await ask({ client, place: { algorithms } });
    const assertion = seen[0]?.params.get("client_assertion")?.split(".")[0] ?? "";
    if (expected === undefined) {
      expect(outcome).toBe("oauth-private-key");
      expect(seen).toEqual([]);
    } else {
      expect(JSON.parse(Buffer.from(assertion, "base64url").toString()).alg).toBe(expected);
    }
  });

  test("an authorization server that takes no assertions is not shown one", async () => {
    const client = { clientSecret: undefined, privateKey: rsa };
    const { outcome, seen } = await ask({ client, place: { methods: ["client_secret_basic"] } });
    expect(outcome).toBe("oauth-no-private-key-jwt");
    expect(seen).toEqual([]);
  });
});

test.each([
  [undefined, [], "header"],
  [undefined, ["client_secret_post"], "body"],
  [undefined, ["client_secret_post", "client_secret_basic"], "header"],
  ["body", ["client_secret_basic"], "body"],
  ["header", ["client_secret_post"], "header"],
] as const)("a secret in %s, by metadata %j: %s", async (secretIn, methods, where) => {
  const { seen } = await ask({ client: { secretIn }, place: { methods } });
  const [request] = seen;
  expect(request?.params.has("client_secret")).toBe(where === "body");
  expect(request?.headers.authorization !== undefined).toBe(where === "header");
});
