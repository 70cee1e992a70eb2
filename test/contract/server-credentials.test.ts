/**
 * How the gateway proves itself to MCP servers, against a real authorization server and servers that want its tokens:
 * every transport, every way a client proves itself, what is asked again and what is not.
 */
import { afterEach, describe, expect, test } from "bun:test";
import type { ServersLimits } from "../../src/servers/limits.ts";
import type { OAuthClient, ServerSpec } from "../../src/servers/spec.ts";
import { callTool, connectServer, needText } from "../support/connected-server.ts";
import {
  type RemoteStart,
  remoteStartNames,
  remoteStarts,
  transportThrough,
} from "../support/fake-servers/network.ts";
import {
  clientSecret,
  type GuardOptions,
  startAuthority,
  startGuarded,
} from "../support/oauth-servers.ts";

let stack = new AsyncDisposableStack();
afterEach(async () => {
  const ending = stack;
  stack = new AsyncDisposableStack();
  await ending.disposeAsync();
});

interface SetUp extends GuardOptions {
  readonly kind?: RemoteStart;
  readonly tokenSeconds?: number;
  readonly client?: (issuer: string, privateKey: string) => Partial<OAuthClient>;
  readonly auth?: Partial<ServerSpec["auth"]>;
  readonly limits?: Partial<ServersLimits>;
}

/** An authority, a guarded server, and the gateway's client of it. */
async function setUp({
  kind = "streamable-http",
  tokenSeconds,
  client,
  auth,
  limits,
  ...more
}: SetUp = {}) {
  const authority = stack.use(await startAuthority({ tokenSeconds }));
  const fake = await remoteStarts[kind]();
  stack.defer(() => fake.stop());
  const guard = stack.use(await startGuarded(fake.url.replace(/^ws/, "http"), authority, more));
  const transport = transportThrough(guard.url, kind);
  const oauth: OAuthClient = {
    grant: "client-credentials",
    clientId: "gateway",
    clientSecret,
    issuer: authority.issuer,
    ...client?.(authority.issuer, authority.privateKey),
  };
  const connected = stack.use(
    connectServer(transport, { auth: { tellsUser: false, oauth, ...auth } }, limits),
  );
  const echo = (text = "hello") => callTool(connected.client, "echo", { text });
  return { authority, guard, client: connected.client, echo };
}

describe("UP-15 client credentials over every transport", () => {
  test.each(remoteStartNames)("%s", async (kind) => {
    const { authority, guard, echo } = await setUp({ kind });
    expect(needText(await echo())).toContain("hello");
    expect(needText(await echo("again"))).toContain("again");
    expect(authority.tokenRequests).toHaveLength(1);
    expect(guard.refused.map(({ authorization }) => authorization)).toEqual([undefined]);
    for (const { authorization } of guard.passed) expect(authorization).toStartWith("Bearer ey");
  });
});

/** No issuer is named: the server says who gives tokens. */
const byKey = (_issuer: string, privateKey: string) => ({
  clientId: "gateway-key",
  clientSecret: undefined,
  issuer: undefined,
  keyId: "k1",
  privateKey,
});

describe("a client proves itself", () => {
  const last = ({ tokenRequests }: Awaited<ReturnType<typeof setUp>>["authority"]) => {
    const seen = tokenRequests.at(-1);
    if (seen === undefined) throw new Error("no token request");
    return seen;
  };

  test("by its secret in the header, encoded as in a form", async () => {
    const { authority, guard, echo } = await setUp();
    needText(await echo());
    const { params, authorization } = last(authority);
    const pair = Buffer.from(authorization?.replace("Basic ", "") ?? "", "base64").toString();
    expect(pair).toBe("gateway:the+gateway%27s+secret+%26+its+100%25+own");
    expect(Object.fromEntries(params)).toEqual({
      grant_type: "client_credentials",
      resource: guard.url,
    });
  });

  test("by its secret in the body", async () => {
    const client = () => ({ clientId: "gateway-post", secretIn: "body" as const });
    const { authority, echo } = await setUp({ client, scopesSupported: ["read"] });
    needText(await echo());
    const { params, authorization } = last(authority);
    expect(authorization).toBeUndefined();
    expect(params.get("client_id")).toBe("gateway-post");
    expect(params.get("client_secret")).toBe(clientSecret);
    expect(params.get("scope")).toBe("read");
  });

  test("by an assertion it signed for the issuer, with the authorization server found by itself", async () => {
    const { authority, echo } = await setUp({ client: byKey });
    needText(await echo());
    const { params, authorization } = last(authority);
    expect(authorization).toBeUndefined();
    expect(params.has("client_id")).toBe(false);
    const [head, claims] = (params.get("client_assertion") ?? "")
      .split(".")
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, "base64url").toString()));
    expect(head).toEqual({ alg: "ES256", typ: "JWT", kid: "k1" });
    expect(claims).toMatchObject({
      iss: "gateway-key",
      sub: "gateway-key",
      aud: authority.issuer,
      exp: claims.iat + 60,
    });
  });

  test("at a token endpoint that was given: nothing is looked up, and the first request carries a token", async () => {
    const client = (issuer: string) => ({ issuer: undefined, tokenUrl: `${issuer}/token` });
    const { guard, echo } = await setUp({ client });
    needText(await echo());
    expect(guard.refused).toEqual([]);
  });
});

describe("a token that is refused", () => {
  const tokenOf = (headers: { authorization?: string } | undefined) =>
    headers?.authorization?.replace("Bearer ", "") ?? "";

  test("UP-15 a revoked token is replaced once, for all who call", async () => {
    const { authority, guard, echo } = await setUp();
    needText(await echo());
    guard.revoked.add(tokenOf(guard.passed.at(-1)));
    const answers = await Promise.all(["a", "b", "c", "d"].map((text) => echo(text)));
    for (const answer of answers) needText(answer);
    expect(authority.tokenRequests).toHaveLength(2);
  });

  test("a server that refuses everything costs few tokens, however often it is called", async () => {
    const { authority, guard, echo } = await setUp();
    needText(await echo());
    const refuseAll = { has: () => true } as unknown as Set<string>;
    Object.assign(guard, { revoked: refuseAll });
    for (let count = 0; count < 10; count += 1) {
      expect(await echo()).toMatchObject({ kind: "fault", fault: { reason: "status-401" } });
    }
    expect(authority.tokenRequests.length).toBeLessThanOrEqual(3);
  });

  test("a scope that is missing is asked for besides those it has", async () => {
    const { authority, guard, echo } = await setUp({ scopesSupported: ["read"] });
    needText(await echo());
    guard.needed = ["read", "write"];
    needText(await echo());
    expect(authority.tokenRequests.map(({ params }) => params.get("scope"))).toEqual([
      "read",
      "read write",
    ]);
  });

  test("scopes that an operator fixed never grow", async () => {
    const { authority, guard, echo } = await setUp({ client: () => ({ scopes: ["read"] }) });
    needText(await echo());
    guard.needed = ["write"];
    for (let count = 0; count < 3; count += 1) {
      expect(await echo()).toMatchObject({ kind: "fault", fault: { reason: "status-403" } });
    }
    expect(authority.tokenRequests).toHaveLength(1);
  });

  test("a scope nobody grants is asked for a bounded number of times", async () => {
    const { authority, guard, echo } = await setUp({ scopesSupported: ["read"] });
    needText(await echo());
    guard.needed = ["read", "write"];
    Object.assign(guard, { needed: { every: () => false, join: () => "read write" } });
    for (let count = 0; count < 5; count += 1) {
      expect(await echo()).toMatchObject({ kind: "fault", fault: { reason: "status-403" } });
    }
    expect(authority.tokenRequests.length).toBeLessThanOrEqual(3);
  });
});

describe("UP-11 who is asked for a token", () => {
  const refusals: readonly [string, SetUp, string][] = [
    [
      "metadata of another server",
      { metadata: { resource: "https://elsewhere.example/mcp" } },
      "oauth-resource-mismatch",
    ],
    [
      "metadata of a path beside the server's",
      { metadata: { resource: "http://127.0.0.1:1/mc" } },
      "oauth-resource-mismatch",
    ],
    [
      "an authorization server that is not the client's",
      { metadata: { authorization_servers: ["https://elsewhere.example"] } },
      "oauth-issuer-not-named",
    ],
    [
      "an issuer that names itself otherwise",
      {
        client: (issuer) => ({ issuer: `${issuer}/` }),
        metadata: { authorization_servers: undefined },
      },
      "oauth-issuer-mismatch",
    ],
    [
      "a client the authorization server does not know",
      { client: () => ({ clientId: "stranger" }) },
      "oauth-invalid_client",
    ],
    [
      "a key that is none",
      {
        client: () => ({ clientSecret: undefined, privateKey: "-----BEGIN PRIVATE KEY-----" }),
      },
      "oauth-private-key",
    ],
  ];
  test.each(refusals)("%s: no call, and no secret told", async (_name, options, reason) => {
    const { guard, echo, authority } = await setUp(options);
    const answer = await echo();
    expect(answer).toMatchObject({
      kind: "fault",
      fault: { name: "upstream-unreachable", reason },
    });
    expect(JSON.stringify(answer)).not.toContain(authority.issuer);
    expect(guard.passed).toEqual([]);
  });

  test("metadata are found where the server's challenge says", async () => {
    const { echo } = await setUp({ client: byKey, metadataPath: "/somewhere/else" });
    needText(await echo());
  });

  test("UP-21 a token endpoint that is down fails the call at once the next time, without asking again", async () => {
    const { authority, echo } = await setUp();
    authority.broken = 503;
    for (let count = 0; count < 5; count += 1) {
      expect(await echo()).toMatchObject({
        kind: "fault",
        fault: { name: "upstream-unreachable" },
      });
    }
    expect(authority.tokenRequests.length).toBeLessThanOrEqual(2);
  });
});

describe("UP-10 a token made from each user's own", () => {
  const exchange = () => ({ grant: "token-exchange" as const });
  /** A token of another issuer, as an agent brings it. */
  const subjectOf = (user: string, more = "", key = user) => {
    const payload = Buffer.from(JSON.stringify({ sub: user, more })).toString("base64url");
    return { key, token: `e30.${payload}.canary-${user}${more}`, expiresAtMs: undefined };
  };
  const subjectsSeen = ({ tokenRequests }: Awaited<ReturnType<typeof setUp>>["authority"]) =>
    tokenRequests.flatMap(({ params }) => params.get("subject_token") ?? []);
  const userOf = ({ authorization = "" }: { authorization?: string }) =>
    JSON.parse(Buffer.from(authorization.split(".")[1] ?? "", "base64url").toString() || "{}")
      .act_for;

  test.each(["streamable-http", "streamable-http legacy"] as const)(
    "%s: one for each user, remembered, and never the user's own",
    async (kind) => {
      const { authority, guard, client } = await setUp({ kind, client: exchange });
      const callAs = (user: string) =>
        callTool(client, "echo", { text: user }, { principalId: user, subject: subjectOf(user) });
      for (const user of ["alice", "bob", "alice", "bob"]) {
        expect(needText(await callAs(user))).toContain(user);
      }
      expect(subjectsSeen(authority)).toEqual([subjectOf("alice").token, subjectOf("bob").token]);
      expect(new Set(guard.passed.map(userOf))).toEqual(new Set(["alice", "bob"]));
      const seen = JSON.stringify([guard.passed, guard.refused]);
      expect(seen).not.toContain("canary");
      // No session of one user is ever used with a token of another.
      const users = new Map<unknown, Set<unknown>>();
      for (const headers of guard.passed) {
        const session = headers["mcp-session-id"];
        if (session === undefined) continue;
        users.set(session, (users.get(session) ?? new Set()).add(userOf(headers)));
      }
      for (const [, sharing] of users) expect(sharing.size).toBe(1);
    },
  );

  test("what the gateway asks by itself goes by its own token", async () => {
    const { authority, guard, client } = await setUp({ client: exchange });
    const facts = await client.facts(new AbortController().signal);
    expect(facts.era).toBe("modern");
    expect(subjectsSeen(authority)).toEqual([]);
    expect(guard.passed.map(userOf)).toEqual([undefined]);
  });

  test("a caller without a token of a user's own is refused before anything is sent", async () => {
    const { authority, guard, echo } = await setUp({ client: exchange });
    expect(await echo()).toMatchObject({
      kind: "fault",
      fault: { name: "policy-denied", reason: "no-subject-token" },
    });
    expect([authority.tokenRequests, guard.passed, guard.refused]).toEqual([[], [], []]);
  });

  test("other rights of the same user have a token of their own; a renewed token does not", async () => {
    const { authority, client } = await setUp({ client: exchange });
    const callWith = (subject: ReturnType<typeof subjectOf>) =>
      callTool(client, "echo", { text: "x" }, { principalId: "alice", subject });
    needText(await callWith(subjectOf("alice", "-1", "alice narrow")));
    needText(await callWith(subjectOf("alice", "-2", "alice narrow")));
    needText(await callWith(subjectOf("alice", "-3", "alice wide")));
    expect(subjectsSeen(authority)).toEqual([
      subjectOf("alice", "-1").token,
      subjectOf("alice", "-3").token,
    ]);
  });

  test("what is made of a token never outlives it", async () => {
    const { authority, client } = await setUp({ client: exchange });
    const subject = { ...subjectOf("alice"), expiresAtMs: Date.now() - 1 };
    const call = () => callTool(client, "echo", { text: "x" }, { principalId: "alice", subject });
    needText(await call());
    const before = subjectsSeen(authority).length;
    needText(await call());
    expect(subjectsSeen(authority).length).toBeGreaterThan(before);
  });

  test("users with a client of their own are bounded: who called least recently gives way", async () => {
    const { authority, client } = await setUp({ client: exchange, limits: { usersMax: 2 } });
    for (const user of ["alice", "bob", "alice", "carol", "alice", "bob"]) {
      const options = { principalId: user, subject: subjectOf(user) };
      needText(await callTool(client, "echo", { text: user }, options));
    }
    const users = ["alice", "bob", "carol", "bob"].map((user) => subjectOf(user).token);
    expect(subjectsSeen(authority)).toEqual(users);
  });
});
