/**
 * OAuth 2.1 as it is lived: a real authorization server, an agent of the SDK that finds it by what the gateway says,
 * tokens bound to one endpoint, refresh, scopes, keys that change, and tokens taken back, seen on open connections too.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { decodeJwt } from "jose";
import {
  type AuthorizationServer,
  startAuthorizationServer,
} from "../support/authorization-server.ts";
import { until, within } from "../support/deadline.ts";
import { freePort } from "../support/free-port.ts";
import { modernCall, modernPost } from "../support/modern-agent.ts";
import { connectByOAuth, type OAuthAgent } from "../support/oauth-agent.ts";
import { type OpenStream, openStreams } from "../support/open-streams.ts";
import { type SampleGateway, startSampleGateway } from "../support/sample-gateway.ts";

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

async function startBoth(
  format: "jwt" | "opaque",
  issuer: (server: AuthorizationServer) => object,
) {
  const server = stack.use(
    await startAuthorizationServer({ user: "ada", format, scopes: ["mcp", "other"] }),
  );
  const port = freePort();
  const sample = stack.use(
    await startSampleGateway({
      args: ["--port", String(port)],
      config: {
        agents: { public_url: `http://127.0.0.1:${port}/` },
        limits: { failed_auth_per_minute: 10_000 },
        identity: {
          jwt: {
            issuers: [{ issuer: server.issuer, allow_private_network: true, ...issuer(server) }],
          },
          required_scopes: [{ oauth_scopes: ["mcp"] }],
        },
      },
    }),
  );
  const permissions = [{ resource: "mcp:calculator:*", actions: ["POLICY_ACTION_ANY"] }];
  await sample.admin.call("PolicyService", "CreateRole", { role: { name: "adder", permissions } });
  const binding = { name: "ada", roles: ["adder"], users: [`user:${server.issuer}#ada`] };
  await sample.admin.call("PolicyService", "CreateBinding", { binding });
  return { server, sample };
}

const add = (sample: SampleGateway, token: string) =>
  modernCall({
    base: sample.gateway.agents,
    token,
    method: "tools/call",
    params: { name: "calculator__add", arguments: { a: 20, b: 22 } },
  });

const openAll = (sample: SampleGateway, token: string) =>
  Promise.all(
    Object.entries(openStreams).map(async ([name, open]) => [
      name,
      await open({ base: sample.gateway.agents, token }),
    ]) as Promise<[string, OpenStream]>[],
  );

describe("tokens that are JWTs, for one endpoint each", () => {
  let server: AuthorizationServer;
  let sample: SampleGateway;
  let agent: OAuthAgent;
  const endpoint = () => `${sample.gateway.agents}/all/mcp`;

  beforeAll(async () => {
    ({ server, sample } = await startBoth("jwt", () => ({
      audience: "resource",
      algorithms: ["ES256"],
    })));
    agent = await connectByOAuth(endpoint(), server);
  });
  afterAll(() => agent.close());

  test("A06 the agent finds its way by what the 401 says, and calls", async () => {
    const [sentTo] = agent.sentTo;
    expect(sentTo?.origin).toBe(server.issuer);
    expect(Object.fromEntries(sentTo?.searchParams ?? [])).toMatchObject({
      resource: endpoint(),
      scope: "mcp",
      code_challenge_method: "S256",
    });
    expect(decodeJwt(agent.tokens().access_token)).toMatchObject({ aud: endpoint(), scope: "mcp" });
    const answer = await agent.client.callTool({
      name: "calculator__add",
      arguments: { a: 20, b: 22 },
    });
    expect(answer).toMatchObject({ structuredContent: { result: "42" } });
  });

  test("AN-24 the challenge and the documents, of every endpoint", async () => {
    const { agents } = sample.gateway;
    const refused = await modernPost({ base: agents, method: "tools/list" });
    expect(refused.headers.get("www-authenticate")).toBe(
      `Bearer resource_metadata="${agents}/.well-known/oauth-protected-resource/all/mcp", scope="mcp"`,
    );
    for (const path of ["/mcp", "/all/mcp", "/calculator/mcp", "/calculator/sse", "/ws"]) {
      const document = await fetch(`${agents}/.well-known/oauth-protected-resource${path}`);
      expect(await document.json()).toEqual({
        resource: agents + path,
        authorization_servers: [server.issuer],
        bearer_methods_supported: ["header"],
        scopes_supported: ["mcp"],
      });
    }
    const older = await fetch(`${agents}/.well-known/oauth-authorization-server`);
    expect(await older.json()).toMatchObject({ issuer: server.issuer });
  });

  test("a browser may read the challenge", async () => {
    const { agents } = sample.gateway;
    const refused = await fetch(`${agents}/all/mcp`, {
      method: "POST",
      headers: { origin: agents },
    });
    expect(refused.headers.get("access-control-expose-headers")).toContain("WWW-Authenticate");
  });

  test("AN-08 the token is good at no other endpoint", async () => {
    const token = agent.tokens().access_token;
    const { agents } = sample.gateway;
    const statusAt = async (path: string) => {
      const headers = { authorization: `Bearer ${token}`, accept: "text/event-stream" };
      const response = await fetch(agents + path, { headers });
      await response.body?.cancel();
      return response.status;
    };
    expect((await add(sample, token)).status).toBe(200);
    expect(await statusAt("/calculator/sse")).toBe(401);
    expect(await statusAt("/all/sse")).toBe(401);
    const scoped = await modernPost({
      base: agents,
      scope: "calculator",
      token,
      method: "tools/list",
    });
    expect(scoped.status).toBe(401);
    expect(scoped.headers.get("www-authenticate")).toContain('error="invalid_token"');
  });

  test("new tokens by refresh, without the user", async () => {
    const before = agent.tokens().access_token;
    const { access_token } = await agent.refresh();
    expect(access_token).not.toBe(before);
    expect(agent.sentTo).toHaveLength(1);
    expect((await add(sample, access_token)).status).toBe(200);
  });
});

describe("tokens of a listed audience, keys that change", () => {
  let server: AuthorizationServer;
  let sample: SampleGateway;
  const audience = "https://gateway.example";
  const tokenFor = async (scope: string) => {
    const code = await server.authorize({ resource: audience, scope });
    return server.exchange(code, audience);
  };

  beforeAll(async () => {
    ({ server, sample } = await startBoth("jwt", () => ({
      audiences: [audience],
      algorithms: ["ES256"],
    })));
  });

  test("a token without the scope is told what to ask for, on every transport", async () => {
    const token = await tokenFor("other");
    const answer = await add(sample, token);
    expect(answer.status).toBe(403);
    expect(answer.error).toMatchObject({ code: 40302, data: { requiredScopes: ["mcp"] } });
    const challenge = 'error="insufficient_scope", scope="mcp"';
    expect(answer.headers.get("www-authenticate")).toEndWith(challenge);
    for (const path of ["/all/sse", "/all/ws"]) {
      const headers = { authorization: `Bearer ${token}`, accept: "text/event-stream" };
      const response = await fetch(sample.gateway.agents + path, {
        headers: path.endsWith("ws")
          ? {
              ...headers,
              connection: "upgrade",
              upgrade: "websocket",
              "sec-websocket-version": "13",
              "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            }
          : headers,
      });
      expect(response.status, path).toBe(403);
      expect(response.headers.get("www-authenticate"), path).toEndWith(challenge);
    }
  });

  test("AN-14 a token revoked by an operator ends everything it opened, and nothing else", async () => {
    const [revoked, other] = [await tokenFor("mcp"), await tokenFor("mcp")];
    const open = await openAll(sample, revoked);
    const kept = await openAll(sample, other);
    const { jti = "" } = decodeJwt(revoked);
    await sample.admin.call("RevocationService", "RevokeTokens", {
      issuer: server.issuer,
      token_ids: [jti],
      reason: "lost",
    });
    for (const [name, stream] of open) {
      const code = await within(`the end of ${name}`, stream.ended);
      if (name === "WebSocket") expect(code).toBe(4401);
    }
    expect((await add(sample, revoked)).status).toBe(401);
    expect((await add(sample, other)).status).toBe(200);
    await sample.admin.call("RevocationService", "RevokeTokens", {
      issuer: server.issuer,
      subjects: ["ada"],
    });
    for (const [name, stream] of kept) await within(`the end of ${name}`, stream.ended);
    expect((await add(sample, other)).status).toBe(401);
    const listed = await sample.admin.call("RevocationService", "ListRevocations", {});
    for (const { id } of listed.revocations as readonly { readonly id: string }[]) {
      await sample.admin.call("RevocationService", "DeleteRevocation", { id });
    }
    expect((await add(sample, other)).status).toBe(200);
  });

  // Takes as long as keys are kept, three quarters of a minute: what follows has an issuer and a gateway of its own.
  test.concurrent("AN-14 a key that is withdrawn stops working within a minute, on what is open too", async () => {
    const old = await tokenFor("mcp");
    const open = await openAll(sample, old);
    await server.rotateKeys();
    const renewed = await tokenFor("mcp");
    for (const [name, stream] of open) {
      const code = await within(`the end of ${name}`, stream.ended, 60_000);
      if (name === "WebSocket") expect(code).toBe(4401);
    }
    expect((await add(sample, old)).status).toBe(401);
    expect((await add(sample, renewed)).status).toBe(200);
  }, 120_000);
});

describe("J13 opaque tokens, about which the issuer is asked", () => {
  test.concurrent("AN-14 used, taken back at the issuer, and refused everywhere within the time it is remembered", async () => {
    const audience = "https://gateway.example";
    const { server, sample } = await startBoth("opaque", ({ issuer, introspector }) => ({
      audiences: [audience],
      introspection: {
        url: `${issuer}/token/introspection`,
        client_id: introspector.id,
        client_secret: introspector.secret,
        opaque_tokens: true,
        remember_seconds: 2,
      },
    }));
    const code = await server.authorize({ resource: audience, scope: "mcp" });
    const token = await server.exchange(code, audience);
    expect(token).not.toContain(".");
    expect((await add(sample, token)).result).toMatchObject({
      structuredContent: { result: "42" },
    });
    const open = await openAll(sample, token);
    await server.revoke(token);
    await until("the refusal", async () => (await add(sample, token)).status === 401);
    for (const [name, stream] of open) {
      const ending = await within(`the end of ${name}`, stream.ended);
      if (name === "WebSocket") expect(ending).toBe(4401);
    }
    expect((await add(sample, "made-up")).status).toBe(401);
    expect(sample.gateway.stdout()).not.toContain(token);
  });
});
