/**
 * Agents with tokens of other issuers: every family of algorithms, keys from a secret, a file and a URL; roles in
 * the token lead to what is allowed; whatever is wrong with a token ends in one and the same 401.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { until } from "../support/deadline.ts";
import { modernCall, modernPost } from "../support/modern-agent.ts";
import { allRecords } from "../support/operator.ts";
import { type SampleGateway, startSampleGateway } from "../support/sample-gateway.ts";
import { needKind } from "../support/sdk-agents.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const audience = "https://gateway.example/mcp";
const secret = crypto.getRandomValues(Buffer.alloc(64)).toString("hex");

interface Signer {
  readonly issuer: string;
  readonly alg: string;
  readonly kid?: string;
  readonly key: CryptoKey | Uint8Array;
}

const stack = new AsyncDisposableStack();
let sample: SampleGateway;
const signers: Record<string, Signer> = {};
/** Fetches of the key set that the gateway made. */
let fetches = 0;

beforeAll(async () => {
  const folder = stack.use(temporaryFolder("jwt"));
  const secretFile = join(folder.path, "secret");
  await Bun.write(secretFile, secret);
  const jwksFile = join(folder.path, "jwks.json");
  const fileKeys = await createKeys("https://file.example", ["RS256", "PS256", "ES256", "EdDSA"]);
  await Bun.write(jwksFile, JSON.stringify(fileKeys));
  const urlKeys = await createKeys("https://url.example", ["ES384"]);
  const keyServer = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch() {
      fetches += 1;
      return Response.json(urlKeys);
    },
  });
  stack.defer(() => keyServer.stop(true));
  signers.HS256 = { issuer: "https://secret.example", alg: "HS256", key: Buffer.from(secret) };
  await Bun.$`chmod 600 ${secretFile} ${jwksFile}`.quiet();

  sample = stack.use(
    await startSampleGateway({
      config: {
        limits: { failed_auth_per_minute: 1000 },
        identity: {
          jwt: {
            issuers: [
              {
                issuer: "https://secret.example",
                audiences: [audience],
                algorithms: ["HS256"],
                secret_file: secretFile,
              },
              {
                issuer: "https://file.example",
                audiences: [audience],
                algorithms: ["RS256", "PS256", "ES256", "EdDSA"],
                jwks_file: jwksFile,
              },
              {
                issuer: "https://url.example",
                audiences: [audience],
                algorithms: ["ES384"],
                jwks_url: `http://127.0.0.1:${keyServer.port}/jwks.json`,
              },
            ],
          },
        },
        servers: { allow_private_network: true },
      },
    }),
  );
  const permissions = [
    { resource: "mcp:calculator:add", actions: ["POLICY_ACTION_INVOKE_TOOL"] },
    { resource: "mcp:calculator:*", actions: ["POLICY_ACTION_LIST_TOOLS"] },
  ];
  await sample.admin.call("PolicyService", "CreateRole", { role: { name: "adder", permissions } });
  await sample.admin.call("PolicyService", "CreateRole", {
    role: {
      name: "reader",
      permissions: [{ resource: "mcp:notes:*", actions: ["POLICY_ACTION_ANY"] }],
    },
  });
  await sample.admin.call("PolicyService", "CreateBinding", {
    binding: { name: "staff", roles: ["reader"], groups: ["staff"] },
  });
});
afterAll(() => stack.disposeAsync());

async function createKeys(issuer: string, algorithms: readonly string[]) {
  const keys = await Promise.all(
    algorithms.map(async (alg) => {
      const { privateKey, publicKey } = await generateKeyPair(alg);
      const kid = `${issuer}#${alg}`;
      signers[alg] = { issuer, alg, kid, key: privateKey };
      return { ...(await exportJWK(publicKey)), kid, alg, use: "sig" };
    }),
  );
  return { keys };
}

const nowSeconds = () => Math.floor((performance.timeOrigin + performance.now()) / 1000);

function sign(signer: Signer | undefined, claims: JWTPayload = {}, header: object = {}) {
  if (signer === undefined) throw new Error("no such signer");
  const { issuer, alg, kid, key } = signer;
  const now = nowSeconds();
  return new SignJWT({
    iss: issuer,
    aud: audience,
    sub: "ada",
    roles: ["adder"],
    iat: now,
    exp: now + 300,
    ...claims,
  })
    .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }), ...header })
    .sign(key);
}

const add = (token: string) =>
  modernCall({
    base: sample.gateway.agents,
    token,
    method: "tools/call",
    params: { name: "calculator__add", arguments: { a: 20, b: 22 } },
  });

for (const alg of ["HS256", "RS256", "PS256", "ES256", "EdDSA", "ES384"]) {
  describe(`a token signed with ${alg}`, () => {
    test("carries its roles to the call, and no further", async () => {
      const token = await sign(signers[alg]);
      expect((await add(token)).result).toMatchObject({ structuredContent: { result: "42" } });
      const listed = await modernCall({
        base: sample.gateway.agents,
        token,
        method: "tools/list",
      });
      expect(listed.result?.tools).toMatchObject([{ name: "calculator__add" }]);
      const without = await add(await sign(signers[alg], { roles: ["nobody"] }));
      expect(without.error).toMatchObject({ code: -32602 });
    });

    test("is refused once a byte of it is changed", async () => {
      const [header, payload = "", signature] = (await sign(signers[alg])).split(".");
      const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
      const forged = Buffer.from(JSON.stringify({ ...claims, roles: ["reader"] }));
      expect((await add(`${header}.${forged.toString("base64url")}.${signature}`)).status).toBe(
        401,
      );
    });
  });
}

test("a group in the token leads to a role by a binding, over every transport", async () => {
  const token = await sign(signers.ES256, { roles: [], groups: ["staff"] });
  for (const name of ["SDK v1, HTTP+SSE", "SDK v1, WebSocket", "SDK v2, 2026-07-28"]) {
    await using agent = await needKind(name).connect({ base: sample.gateway.agents, token });
    const tools = await agent.listTools();
    expect(tools.map((tool) => tool.name)).toContain("notes__search_notes");
    expect(tools.map((tool) => tool.name)).not.toContain("calculator__add");
  }
});

test("keys from a URL are fetched once, not for every call", async () => {
  for (let call = 0; call < 5; call += 1) {
    expect((await add(await sign(signers.ES384, { jti: String(call) }))).status).toBe(200);
  }
  expect(fetches).toBe(1);
});

describe("what is refused", () => {
  const past = () => nowSeconds() - 3600;
  const rows: readonly (readonly [string, () => Promise<string>])[] = [
    ["AN-08 another audience", () => sign(signers.RS256, { aud: "https://other.example/mcp" })],
    ["AN-08 a longer audience", () => sign(signers.RS256, { aud: `${audience}/` })],
    ["AN-08 no audience", () => sign(signers.RS256, { aud: undefined })],
    ["AN-09 an expired token", () => sign(signers.RS256, { iat: past() - 60, exp: past() })],
    ["AN-09 no expiry", () => sign(signers.RS256, { exp: undefined })],
    ["AN-09 a token not valid yet", () => sign(signers.RS256, { nbf: nowSeconds() + 3600 })],
    ["AN-09 a token from the future", () => sign(signers.RS256, { iat: nowSeconds() + 3600 })],
    ["an unknown issuer", () => sign(signers.RS256, { iss: "https://stranger.example" })],
    ["AN-10 no subject", () => sign(signers.RS256, { sub: undefined })],
    ["AN-11 the key of another issuer", () => sign(signers.RS256, { iss: "https://url.example" })],
    ["AN-04 an algorithm not pinned", () => sign(signers.HS256, { iss: "https://file.example" })],
    ["AN-06 an unknown kid", () => sign(signers.RS256, {}, { kid: "../../etc/passwd" })],
    ["AN-07 a key by reference", () => sign(signers.RS256, {}, { jku: "http://127.0.0.1:1/" })],
    [
      "AN-03 no signature",
      async () => {
        const [, payload] = (await sign(signers.RS256)).split(".");
        const header = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
        return `${header}.${payload}.`;
      },
    ],
    ["AN-20 five segments", async () => `${await sign(signers.RS256)}.a.b`],
  ];

  for (const [name, make] of rows) {
    test(`${name}: 401, and nothing that tells why`, async () => {
      const answer = await add(await make());
      expect(answer.status).toBe(401);
      expect(answer.error).toMatchObject({ code: 40101, data: { name: "unauthenticated" } });
      expect(answer.headers.get("www-authenticate")).toBe(
        `Bearer resource_metadata="${sample.gateway.agents}/.well-known/oauth-protected-resource/all/mcp", error="invalid_token"`,
      );
    });
  }

  test("AN-24: the 401 leads to a document that names the issuers", async () => {
    const refused = await modernPost({ base: sample.gateway.agents, method: "tools/list" });
    expect(refused.status).toBe(401);
    const challenge = refused.headers.get("www-authenticate") ?? "";
    const url = /resource_metadata="([^"]+)"/.exec(challenge)?.[1] ?? "";
    expect(challenge).not.toContain("error=");
    const document = await fetch(url);
    expect(document.status).toBe(200);
    expect(await document.json()).toEqual({
      resource: `${sample.gateway.agents}/all/mcp`,
      authorization_servers: [
        "https://secret.example",
        "https://file.example",
        "https://url.example",
      ],
      bearer_methods_supported: ["header"],
    });
  });

  test("refusals are counted in the log, not written one by one", async () => {
    const { admin, gateway } = sample;
    const metrics = await (await fetch(`${gateway.ops}/metrics`)).text();
    expect(metrics).toMatch(/mcp_gateway_auth_failures_total\{[^}]*\} [1-9]/);
    const names = new Set((await allRecords(admin)).map(({ status }) => status));
    expect(names.has("unauthenticated")).toBe(false);
    const calls = await until("the allowed calls' records", async () => {
      const found = await allRecords(admin, { status: "success", tool: "add" });
      return found.length >= 6 ? found : undefined;
    });
    // A principal is named by issuer and subject: `ada` of one issuer is not `ada` of another.
    expect(new Set(calls.map(({ principal }) => principal)).size).toBe(3);
  });
});
