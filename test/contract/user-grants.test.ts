/**
 * Users' grants: what the store promises on SQLite and on a real PostgreSQL, what two nodes may rely on, and how a server
 * is called with them when tokens expire, are refused, rotate, are stolen or end.
 */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { decodeJwt } from "jose";
import { Client } from "pg";
import { Cancellation } from "../../src/lib/cancellation.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { objectText } from "../../src/protocol/json-view.ts";
import type { Outcome } from "../../src/protocol/messages.ts";
import { createGrants, type Grants } from "../../src/servers/credentials/grants.ts";
import { createSecretSealer } from "../../src/servers/credentials/sealing.ts";
import type { OAuthClient } from "../../src/servers/spec.ts";
import type { AccessCaller, GrantSummary } from "../../src/servers/user-access.ts";
import { openStore } from "../../src/storage/open-store.ts";
import type { Store } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { type CodeAuthority, startCodeAuthority } from "../support/code-authority.ts";
import { callTool, connectServer, needText } from "../support/connected-server.ts";
import { startHttpV2, transportThrough } from "../support/fake-servers/network.ts";
import { startGuarded } from "../support/oauth-servers.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(60_000);

const sealer = createSecretSealer(Buffer.alloc(32, 9), "secrets.key");
let postgres: TestPostgres;
let databases = 0;
let stack = new AsyncDisposableStack();
beforeAll(async () => {
  postgres = await startPostgres();
});
afterEach(async () => {
  const ending = stack;
  stack = new AsyncDisposableStack();
  await ending.disposeAsync();
});
afterAll(() => postgres[Symbol.asyncDispose]());

/** Two nodes' views of one new database. */
const kinds: Readonly<Record<string, () => Promise<readonly [Store, Store]>>> = {
  async sqlite() {
    const dataDir = stack.use(temporaryFolder("grants")).path;
    const store = await openStore({ dataDir, log: silentLog, deadlineMs: 30_000, migrate: true });
    stack.defer(() => store.close());
    return [store, store];
  },
  async postgres() {
    databases += 1;
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    await client.query(`create database grants_${databases}`);
    await client.end();
    const databaseUrl = postgres.url.replace(/\/postgres$/, `/grants_${databases}`);
    const options = { databaseUrl, dataDir: "/nonexistent", log: silentLog, deadlineMs: 30_000 };
    const open = async () => {
      const store = await openStore({ ...options, migrate: true });
      stack.defer(() => store.close());
      return store;
    };
    return [await open(), await open()];
  },
};

const owner = { id: "user:https://login.example#ada", tenant: "a", clientId: "agent" };

function grantOf(changes: Partial<Parameters<Grants["save"]>[0]> = {}) {
  return {
    ...{ principal: owner.id, tenant: owner.tenant, client: owner.clientId, server: "files" },
    ...{ serverUrl: "https://files.example/mcp", issuer: "https://auth.example" },
    ...{ oauthClientId: "gateway", scopes: ["read"], askedScopes: ["read"] },
    ...{ accessToken: "canary-access", refreshToken: "canary-refresh" },
    expiresAtMs: systemClock.nowMs() + 600_000,
    grantedAtMs: 1,
    ...changes,
  };
}

function nodeOn(
  store: Pick<Store, "grants" | "exclusively">,
  onOver?: (one: GrantSummary) => void,
) {
  return createGrants({ store, sealer, clock: systemClock, staleMs: 60_000, onOver });
}

const outcomeOf = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );

describe.each(Object.keys(kinds))("on %s", (kind) => {
  const open = () => kinds[kind]?.() ?? Promise.reject(new Error(kind));

  test("a grant is written over the version that was read, and nobody else's", async () => {
    const [one, other] = await open();
    const row = { id: "g", tenant: undefined, server: "files", body: "1", updatedAtMs: 5 };
    expect(await one.grants.write({ ...row, version: 0 })).toBe(true);
    expect(await other.grants.write({ ...row, version: 0 })).toBe(false);
    expect(await other.grants.write({ ...row, body: "2", version: 1 })).toBe(true);
    expect(await one.grants.write({ ...row, body: "3", version: 1 })).toBe(false);
    expect(await one.grants.read("g")).toEqual({ ...row, body: "2", version: 2 });
    expect(await one.grants.remove("g", 1)).toBe(false);
    expect(await one.grants.remove("g", 2)).toBe(true);
    expect(await other.grants.remove("g")).toBe(false);
    expect(await other.grants.read("g")).toBeUndefined();
  });

  test("grants are listed by id, of one tenant or server", async () => {
    const [{ grants }] = await open();
    for (const [id, tenant, server] of [
      ["3", "b", "files"],
      ["1", "a", "files"],
      ["2", "a", "mail"],
      ["4", undefined, "mail"],
    ] as const) {
      await grants.write({ id, tenant, server, body: "", version: 0, updatedAtMs: 1 });
    }
    const idsOf = async (query: object) =>
      (await grants.list({ limit: 10, ...query })).map(({ id }) => id);
    expect(await idsOf({})).toEqual(["1", "2", "3", "4"]);
    expect(await idsOf({ tenant: "a" })).toEqual(["1", "2"]);
    expect(await idsOf({ tenant: "a", server: "mail" })).toEqual(["2"]);
    expect(await idsOf({ after: "2", limit: 1 })).toEqual(["3"]);
  });

  test("a step is taken once, by one of many, and only in time", async () => {
    const [one, other] = await open();
    await one.passes.put({ id: "p", body: "step", nowMs: 100, untilMs: 200 });
    expect(await other.passes.read("p", 199)).toBe("step");
    expect(await other.passes.read("p", 200)).toBeUndefined();
    expect(await other.passes.take("p", 200)).toBeUndefined();
    const takers = [one, other, one, other].map(({ passes }) => passes.take("p", 150));
    const taken = (await Promise.all(takers)).filter((body) => body !== undefined);
    expect(taken).toEqual(["step"]);
    await one.passes.put({ id: "old", body: "x", nowMs: 100, untilMs: 200 });
    await one.passes.put({ id: "new", body: "y", nowMs: 300, untilMs: 400 });
    expect(await one.passes.read("old", 150)).toBeUndefined();
  });

  test("a grant is renewed once, however many ask on both nodes", async () => {
    const stores = await open();
    const nodes = stores.map((store) => nodeOn(store));
    const [node] = nodes;
    await node?.save(grantOf());
    const id = node?.idOf(owner, "files") ?? "";
    let asked = 0;
    const ask = async (refreshToken: string) => {
      asked += 1;
      expect(refreshToken).toBe("canary-refresh");
      await new Promise((resolve) => setImmediate(resolve));
      return { value: "renewed", lifetimeMs: 600_000, refreshToken: "rotated" };
    };
    const work = nodes.flatMap((one) =>
      Array.from({ length: 10 }, () => one.renew(id, "canary-access", ask)),
    );
    const renewed = await Promise.all(work);
    expect(new Set(renewed.map((grant) => grant?.accessToken))).toEqual(new Set(["renewed"]));
    expect(renewed.every((grant) => grant?.refreshToken === "rotated")).toBe(true);
    expect(asked).toBe(1);
  });

  test("a node that waits for a user hears what was decided on another", async () => {
    const [first, second] = await open();
    const [here, there] = [nodeOn(first), nodeOn(second)];
    const id = here.idOf(owner, "files");
    const { signal } = new Cancellation();
    const waiting = here.decided(id, 0, 30_000, signal);
    await there.save(grantOf());
    expect(await waiting).toBe("granted");
    expect(await here.decided(id, 1, 0, signal)).toBe("late");
    const denied = there.decided(id, 1, 30_000, signal);
    await new Promise((resolve) => setImmediate(resolve));
    // Told again until the wait has begun: only who waits hears it.
    const telling = setInterval(() => there.denied(id), 5);
    expect(await denied).toBe("denied");
    clearInterval(telling);
  });

  test("nothing of it lies in the database in clear, and a row moved or changed gives nothing", async () => {
    const [store] = await open();
    const node = nodeOn(store);
    await node.save(grantOf());
    await node.save(grantOf({ server: "mail", tenant: undefined }));
    const [mine, other] = await store.grants.list({ limit: 2 });
    if (mine === undefined || other === undefined) throw new Error("no rows");
    const stored = JSON.stringify([mine, other]);
    for (const canary of ["canary-access", "canary-refresh", "login.example"]) {
      expect(stored).not.toContain(canary);
    }
    const moved = { ...mine, body: other.body, version: mine.version };
    await store.grants.write(moved);
    // Its user is asked anew, and operators see that there is something to clear away.
    expect(await nodeOn(store).find(mine.id)).toBeUndefined();
    const unreadable = (await nodeOn(store).list({ limit: 2 })).find(({ id }) => id === mine.id);
    expect(unreadable).toMatchObject({ principal: "", scopes: [], server: mine.server });
  });
});

describe("what a grant outlives", () => {
  test("an authorization server that is down, and a database that is", async () => {
    const [store] = (await kinds.sqlite?.()) ?? [];
    if (store === undefined) throw new Error("no store");
    const over: GrantSummary[] = [];
    const node = nodeOn(store, (one) => over.push(one));
    await node.save(grantOf());
    const id = node.idOf(owner, "files");
    const down = async () => {
      throw new Error("connection refused");
    };
    expect(await outcomeOf(node.renew(id, "canary-access", down))).toBe("connection refused");
    expect((await node.find(id))?.refreshToken).toBe("canary-refresh");
    expect(over).toEqual([]);
    let nowMs = 0;
    const clock = { nowMs: () => 1, monotonicMs: () => nowMs };
    let isAway = false;
    const grants = {
      ...store.grants,
      read: (one: string) =>
        isAway ? Promise.reject(new Error("database away")) : store.grants.read(one),
    };
    const { exclusively } = store;
    const later = createGrants({ store: { grants, exclusively }, sealer, clock, staleMs: 60_000 });
    await later.find(id);
    isAway = true;
    nowMs = 59_000;
    expect((await later.find(id))?.accessToken).toBe("canary-access");
    nowMs = 61_000;
    expect(await outcomeOf(Promise.resolve(later.find(id)))).toBe("database away");
  });

  test("another node's revocation ends it here within five seconds", async () => {
    const [store] = (await kinds.sqlite?.()) ?? [];
    if (store === undefined) throw new Error("no store");
    let nowMs = 0;
    const clock = { nowMs: () => 1, monotonicMs: () => nowMs };
    const [here, there] = [
      createGrants({ store, sealer, clock, staleMs: 60_000 }),
      createGrants({ store, sealer, clock, staleMs: 60_000 }),
    ];
    const gone: string[] = [];
    here.onGone((id) => gone.push(id));
    await here.save(grantOf());
    const id = here.idOf(owner, "files");
    expect(await there.remove(id)).toBe(true);
    nowMs = 4_999;
    expect(await here.find(id)).toBeDefined();
    nowMs = 5_000;
    expect(await here.find(id)).toBeUndefined();
    expect(gone).toEqual([id]);
  });
});

describe("a server called with users' grants", () => {
  const redirectUri = "https://gateway.example/consent/callback";
  const caller: AccessCaller = { kind: "user", ...owner, issuer: "https://login.example" };

  async function setUp(scopesSupported: readonly string[] = ["read"]) {
    const [store] = (await kinds.sqlite?.()) ?? [];
    if (store === undefined) throw new Error("no store");
    const authority = stack.use(await startCodeAuthority());
    const fake = await startHttpV2();
    stack.defer(() => fake.stop());
    const guard = stack.use(await startGuarded(fake.url, authority, { scopesSupported }));
    const over: GrantSummary[] = [];
    const grants = nodeOn(store, (one) => over.push(one));
    const asked: (readonly string[])[] = [];
    const links = {
      async make({ moreScopes }: { readonly moreScopes: readonly string[] }) {
        asked.push(moreScopes);
        return "https://gateway.example/consent?link=x";
      },
    };
    const oauth: OAuthClient = {
      grant: "authorization-code",
      clientId: "gateway",
      issuer: authority.issuer,
    };
    const { client, servers } = stack.use(
      connectServer(
        transportThrough(guard.url, "streamable-http"),
        { auth: { tellsUser: false, oauth } },
        {},
        { grants, links },
      ),
    );
    const authorization = servers.authorization("fake");
    if (authorization === undefined) throw new Error("no authorization");
    const echo = (more = {}, who: Partial<AccessCaller> = {}) =>
      callTool(client, "echo", { text: "hello" }, { ...more, caller: { ...caller, ...who } });
    const access = { caller, server: "fake", moreScopes: [] };
    const agree = async (change: (params: URLSearchParams) => void = () => {}, subject = "ada") => {
      const { scopes } = await authorization.describe(access);
      const begun = await authorization.begin({ redirectUri, state: "s", scopes });
      const code = authority.code(new URL(begun.url), subject);
      const params = new URLSearchParams({ code, state: "s", iss: authority.issuer });
      change(params);
      const back = { ...begun, asked: access, params, scopes, redirectUri };
      const finished = await authorization.finish(back);
      await finished.save();
    };
    return { authority, guard, grants, asked, over, authorization, access, echo, agree, servers };
  }

  const isQuestion = (outcome: Outcome) =>
    outcome.kind === "result" && objectText(outcome.result).includes('"input_required"');
  const refreshes = ({ tokenRequests }: CodeAuthority) =>
    tokenRequests.filter((params) => params.get("grant_type") === "refresh_token");

  test("a public client proves itself by PKCE alone, for one resource", async () => {
    const { authority, guard, echo, agree } = await setUp();
    expect(isQuestion(await echo())).toBe(true);
    await agree();
    expect(needText(await echo())).toContain("hello");
    const [params] = authority.tokenRequests;
    expect(Object.fromEntries(params ?? [])).toMatchObject({
      grant_type: "authorization_code",
      client_id: "gateway",
      redirect_uri: redirectUri,
      resource: guard.url,
    });
    expect(params?.get("code_verifier")).toMatch(/^[A-Za-z0-9_-]{64}$/);
  });

  test("UP-11 a mix-up: the answer of another server's issuer gets no code and tells nothing", async () => {
    const { authority, agree, echo } = await setUp();
    for (const change of [
      (params: URLSearchParams) => params.set("iss", "https://evil.example"),
      (params: URLSearchParams) => params.delete("iss"),
      (params: URLSearchParams) => {
        params.set("iss", `${authority.issuer}/`);
        params.set("error", "access_denied");
      },
    ]) {
      const why = await agree(change).catch((error: unknown) =>
        Reflect.get(error as object, "fault"),
      );
      expect(why).toMatchObject({ reason: "oauth-iss-mismatch" });
    }
    expect(authority.tokenRequests).toEqual([]);
    // Where it was not promised it may be missing, and is compared where it is there.
    authority.metadata = { authorization_response_iss_parameter_supported: undefined };
    expect(isQuestion(await echo())).toBe(true);
  });

  test("tokens about to expire are renewed once for all who call, and rotate", async () => {
    const { authority, guard, echo, agree, grants } = await setUp();
    authority.accessSeconds = 5;
    await agree();
    authority.accessSeconds = 600;
    const answers = await Promise.all(Array.from({ length: 12 }, () => echo()));
    for (const answer of answers) expect(needText(answer)).toContain("hello");
    expect(refreshes(authority)).toHaveLength(1);
    const grant = await grants.find(grants.idOf(owner, "fake"));
    expect(grant?.refreshToken).not.toBe(refreshes(authority)[0]?.get("refresh_token"));
    expect(grant?.version).toBe(2);
    expect(new Set(guard.passed.map(({ authorization }) => authorization)).size).toBe(1);
  });

  test("a token that the server refuses is renewed, and the call made again", async () => {
    const { authority, guard, echo, agree } = await setUp();
    await agree();
    needText(await echo());
    const [first] = guard.passed.map(({ authorization }) => authorization);
    guard.revoked.add(first?.replace("Bearer ", "") ?? "");
    expect(needText(await echo())).toContain("hello");
    expect(refreshes(authority)).toHaveLength(1);
    expect(guard.passed.at(-1)?.authorization).not.toBe(first);
  });

  test("a refresh token that was used elsewhere ends the grant, and the user is asked again", async () => {
    const { authority, echo, agree, grants, over, asked } = await setUp();
    authority.accessSeconds = 5;
    await agree();
    const stolen = (await grants.find(grants.idOf(owner, "fake")))?.refreshToken ?? "";
    const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: stolen });
    await fetch(`${authority.issuer}/token`, { method: "POST", body });
    expect(isQuestion(await echo())).toBe(true);
    expect(asked).toEqual([[]]);
    expect(over.map(({ principal }) => principal)).toEqual([owner.id]);
    expect(await grants.find(grants.idOf(owner, "fake"))).toBeUndefined();
    authority.accessSeconds = 600;
    await agree();
    expect(needText(await echo())).toContain("hello");
  });

  test("without a refresh token the user is asked again when the token is over", async () => {
    const { authority, echo, agree } = await setUp();
    authority.answer = { refresh_token: undefined };
    await agree();
    expect(needText(await echo())).toContain("hello");
    authority.accessSeconds = 5;
    await agree();
    expect(isQuestion(await echo())).toBe(true);
    expect(refreshes(authority)).toEqual([]);
  });

  test("an authorization server that is down ends nothing", async () => {
    const { authority, echo, agree, grants } = await setUp();
    authority.accessSeconds = 5;
    await agree();
    authority.failure = { status: 503, error: "temporarily_unavailable" };
    const outcome = await echo();
    expect(outcome).toMatchObject({ kind: "fault", fault: { name: "upstream-unreachable" } });
    expect(await grants.find(grants.idOf(owner, "fake"))).toBeDefined();
    authority.failure = undefined;
  });

  test("tokens of another type are not taken", async () => {
    const { authority, agree } = await setUp();
    authority.answer = { token_type: "DPoP" };
    expect(await outcomeOf(agree())).toContain("could not be reached");
  });

  test("users, clients and tenants have grants of their own, and callers without a login none", async () => {
    const { echo, agree, guard } = await setUp();
    await agree();
    expect(needText(await echo())).toContain("hello");
    const token = guard.passed.at(-1)?.authorization ?? "";
    expect(decodeJwt(token.replace("Bearer ", "")).sub).toBe("ada");
    const before = guard.passed.length;
    for (const who of [
      { id: "user:https://login.example#bob" },
      { clientId: "other" },
      { clientId: undefined },
      { tenant: "b" },
      { tenant: undefined },
    ]) {
      expect(isQuestion(await echo({}, who))).toBe(true);
    }
    const machine = await echo({}, { kind: "client", id: "client:ci" });
    expect(machine).toMatchObject({ kind: "fault", fault: { reason: "no-user-login" } });
    expect(guard.passed).toHaveLength(before);
  });

  test("a server that moved, or another client of ours, inherits no grant", async () => {
    const { grants, echo, agree, guard } = await setUp();
    await agree();
    const grant = await grants.find(grants.idOf(owner, "fake"));
    if (grant === undefined) throw new Error("no grant");
    for (const change of [
      { serverUrl: "https://elsewhere.example/mcp" },
      { issuer: "https://evil.example" },
      { oauthClientId: "another" },
    ]) {
      await grants.save({ ...grant, ...change });
      const before = guard.passed.length;
      expect(isQuestion(await echo())).toBe(true);
      expect(guard.passed).toHaveLength(before);
    }
  });

  test("each user's tools are known by their own grant, and nobody's without one", async () => {
    const { servers, agree, guard } = await setUp();
    const { signal } = new Cancellation();
    const list = (who: AccessCaller | undefined) =>
      servers.tools("fake", { refresh: false, signal, caller: who });
    expect(await outcomeOf(list(undefined))).toContain("needs its user's consent");
    expect(await outcomeOf(list(caller))).toContain("needs its user's consent");
    expect([guard.passed, guard.refused]).toEqual([[], []]);
    await agree();
    expect((await list(caller)).has("echo")).toBe(true);
    expect(servers.knowsTool("fake", "echo", "{}", caller)).toBe(true);
    expect(servers.knowsTool("fake", "echo", "{}")).toBeUndefined();
    const bob = { ...caller, id: "user:https://login.example#bob" };
    expect(servers.knowsTool("fake", "echo", "{}", bob)).toBeUndefined();
  });

  test("revoking asks the authorization server too, and ends the user's calls here at once", async () => {
    const { authority, authorization, grants, echo, agree } = await setUp();
    await agree();
    needText(await echo());
    const id = grants.idOf(owner, "fake");
    const { refreshToken } = (await grants.find(id)) ?? {};
    expect(await authorization.revoke(id)).toBe(true);
    expect(authority.revoked).toContain(String(refreshToken));
    expect(isQuestion(await echo())).toBe(true);
    expect(await authorization.revoke(id)).toBe(false);
  });
});
