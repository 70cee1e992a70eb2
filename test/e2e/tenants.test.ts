/**
 * Two tenants on one gateway, each with its operator, who give the same names to their roles, rules and tools: over
 * every transport neither sees, calls, resumes, finds in memory or reads in the records anything of the other (P17,
 * J11, AZ-05, AZ-15, AZ-17).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { ServiceError } from "@grpc/grpc-js";
import { SignJWT } from "jose";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { executable, type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { modernCall, modernPost } from "../support/modern-agent.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { agentKinds } from "../support/sdk-agents.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

/** As alike as two tenants can be. */
const tenants = { acme: "acme", eu: "acme:eu" } as const;
type Name = keyof typeof tenants;
const names = Object.keys(tenants) as Name[];
const otherOf = (name: Name): Name => (name === "acme" ? "eu" : "acme");

interface Tenant {
  readonly operator: AdminClient;
  readonly server: TinyServer;
  /** Of a registered client that holds the role `analyst`. */
  readonly token: string;
}

const audience = "https://gateway.example/mcp";
const issuer = "https://issuer.example";
const secret = Buffer.from(crypto.getRandomValues(Buffer.alloc(32)).toString("hex"));
const stack = new AsyncDisposableStack();
const of = {} as Record<Name, Tenant>;
let gateway: GatewayProcess;
let everyones: AdminClient;
let shared: TinyServer;

const operatorToken = (name: Name) => `the-operator-of-${name}-has-a-token-of-32-characters`;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const cacheable = (cache_public: boolean) => ({
  tool_settings: [{ tool: "echo", read_only: true, cache_ttl_ms: 60_000, cache_public }],
});

beforeAll(async () => {
  const folder = stack.use(temporaryFolder("tenants"));
  const secretFile = join(folder.path, "secret");
  await Bun.write(secretFile, secret);
  await Bun.$`chmod 600 ${secretFile}`.quiet();
  const operators = names.map((name) => ({
    name: `${name}-admin`,
    roles: ["admin"],
    tenant: tenants[name],
    token_sha256: sha256(operatorToken(name)),
  }));
  const issuers = [
    {
      issuer,
      audiences: [audience],
      algorithms: ["HS256"],
      secret_file: secretFile,
      tenant_claim: "org.id",
    },
  ];
  const config = {
    admin: { operators },
    // What a busy machine's disk takes is not what this is about.
    audit: { deadline_ms: 10_000 },
    identity: { jwt: { issuers } },
    servers: { allow_private_network: true },
  };
  gateway = stack.use(await startGateway({ config }));
  everyones = stack.use(createAdminClient(gateway));
  shared = stack.use(startTinyServer());
  await registerHttpServer(everyones, "shared", shared.url, cacheable(true));
  for (const name of names) of[name] = await setUpTenant(name);
});
afterAll(() => stack.disposeAsync());

/** Everything by the tenant's own operator, under names that the other tenant uses too where that can be. */
async function setUpTenant(name: Name): Promise<Tenant> {
  const operator = stack.use(
    createAdminClient({ admin: gateway.admin, adminToken: operatorToken(name) }),
  );
  const server = stack.use(startTinyServer());
  await registerHttpServer(operator, `${name}-tools`, server.url, cacheable(false));
  const invoke = ["POLICY_ACTION_INVOKE_TOOL"];
  // The same role means all tools in one tenant, and one tool of each server in the other.
  const permissions =
    name === "acme"
      ? [{ resource: "mcp:*:*", actions: invoke }]
      : [{ resource: "mcp:*:echo", actions: invoke }];
  await operator.call("PolicyService", "CreateRole", { role: { name: "analyst", permissions } });
  await operator.call("PolicyService", "CreateBinding", {
    binding: { name: "staff", roles: ["analyst"], groups: ["staff"] },
  });
  // The same rule speaks of different servers.
  const rule = { name: "closed", effect: "RULE_EFFECT_DENY", enabled: true };
  const condition =
    name === "acme" ? { server: "shared", target_pattern: "slow" } : { server: "none" };
  await operator.call("PolicyService", "CreateRule", { rule: { ...rule, condition } });
  const bundle = {
    name: `${name}-bundle`,
    tools: [{ server: "shared", name: "echo" }],
    enabled: true,
  };
  await operator.call("ServerService", "CreateVirtualServer", { virtual_server: bundle });
  const token = await registerClient(operator, `${name}-agent`, { roles: ["analyst"] });
  return { operator, server, token };
}

/** One and the same user of one issuer, as a member of a tenant. */
const userToken = (name: Name, more: object = {}) =>
  new SignJWT({ sub: "ann", org: { id: tenants[name] }, groups: ["staff"], ...more })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime("10m")
    .sign(secret);

const visible: Readonly<Record<Name, readonly string[]>> = {
  acme: ["acme-tools__echo", "acme-tools__slow", "shared__echo"],
  eu: ["eu-tools__echo", "shared__echo"],
};

async function refusalOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Error) return error.message;
  throw new Error("should have been refused");
}

describe.each(agentKinds.map((kind) => [kind.name, kind] as const))("%s", (_name, kind) => {
  test.each(names)("AZ-17, P17: %s sees and calls what its own role and rule say", async (name) => {
    const { token, server } = of[name];
    await using agent = await kind.connect({ base: gateway.agents, token });
    const listed = (await agent.listTools()).map((tool) => tool.name).sort();
    expect(listed).toEqual([...visible[name]]);
    const text = `${kind.name} of ${name}`;
    await agent.callTool(`${name}-tools__echo`, { text });
    expect(server.texts).toContain(text);
    expect(of[otherOf(name)].server.texts).not.toContain(text);
  });

  test.each(names)("AZ-15: to %s the other's tools are as unknown as no one's", async (name) => {
    await using agent = await kind.connect({ base: gateway.agents, token: of[name].token });
    const theirs = `${otherOf(name)}-tools__echo`;
    const unknown = await refusalOf(agent.callTool("no-tools__echo", {}));
    const refused = await refusalOf(agent.callTool(theirs, { text: "stolen" }));
    expect(refused.replace(theirs, "?")).toBe(unknown.replace("no-tools__echo", "?"));
    expect(of[otherOf(name)].server.texts).not.toContain("stolen");
  });

  test.each(names)("AZ-15: to %s the other's scopes are as unknown as no one's", async (name) => {
    const { token } = of[name];
    const enter = (scope: string) =>
      refusalOf(kind.connect({ base: gateway.agents, token, scope }));
    const unknown = await enter("nowhere");
    for (const scope of [`${otherOf(name)}-tools`, `${otherOf(name)}-bundle`]) {
      expect((await enter(scope)).replaceAll(scope, "?")).toBe(unknown.replaceAll("nowhere", "?"));
    }
    for (const scope of [`${name}-tools`, `${name}-bundle`]) {
      await using agent = await kind.connect({ base: gateway.agents, token, scope });
      expect((await agent.listTools()).length).toBeGreaterThan(0);
    }
  });
});

describe("J11: a user's tenant is the token's", () => {
  test.each(names)("the same user is somebody else in %s", async (name) => {
    const ask = { base: gateway.agents, token: await userToken(name) };
    const { result } = await modernCall({ ...ask, method: "tools/list" });
    const tools = result?.tools as readonly { readonly name: string }[];
    expect(tools.map((tool) => tool.name).sort()).toEqual([...visible[name]]);
  });

  test("AZ-15: a token of one tenant by the other's client is nobody's", async () => {
    const token = await userToken("acme", { azp: "eu-agent" });
    const answer = await modernCall({ base: gateway.agents, token, method: "tools/list" });
    expect(answer.status).toBe(401);
    const own = await userToken("acme", { azp: "acme-agent" });
    const fine = await modernCall({ base: gateway.agents, token: own, method: "tools/list" });
    expect(fine.status).toBe(200);
  });

  test("AZ-15: the other's scope and no scope at all are one answer, byte for byte", async () => {
    const ask = async (scope: string) => {
      const token = await userToken("acme");
      const response = await modernPost({
        base: gateway.agents,
        token,
        scope,
        method: "tools/list",
      });
      return [response.status, await response.text()];
    };
    expect(await ask("eu-tools")).toEqual(await ask("nowhere"));
    expect(await ask("eu-bundle")).toEqual(await ask("nowhere"));
  });
});

describe("P17: what is kept", () => {
  const echo = async (token: string, tool: string, text: string) => {
    const params = { name: tool, arguments: { text } };
    const ask = { base: gateway.agents, token, method: "tools/call", params };
    expect((await modernCall(ask)).status).toBe(200);
  };
  const timesSeen = (server: TinyServer, text: string) =>
    server.texts.filter((one) => one === text).length;

  test("a reply that all may share is shared within its tenant, and never with the other", async () => {
    const second = await registerClient(of.acme.operator, "acme-second", { roles: ["analyst"] });
    for (const token of [of.acme.token, of.acme.token, second]) {
      await echo(token, "shared__echo", "kept");
    }
    expect(timesSeen(shared, "kept")).toBe(1);
    await echo(of.eu.token, "shared__echo", "kept");
    expect(timesSeen(shared, "kept")).toBe(2);
  });

  test("an operator purges their tenant's replies, and no one else's", async () => {
    const purge = (request: object) => of.eu.operator.call("CacheService", "Purge", { ...request });
    for (const name of names) await echo(of[name].token, "shared__echo", "purged");
    expect(timesSeen(shared, "purged")).toBe(2);
    await purge({ all: true });
    await echo(of.acme.token, "shared__echo", "purged");
    expect(timesSeen(shared, "purged")).toBe(2);
    await echo(of.eu.token, "shared__echo", "purged");
    expect(timesSeen(shared, "purged")).toBe(3);
  });

  test("AZ-05: a session is its tenant's: the same user of the other tenant does not find it", async () => {
    const initialize = await post(await userToken("acme"), undefined, "initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "e2e", version: "1" },
    });
    const session = initialize.headers.get("mcp-session-id") ?? "";
    expect(session).not.toBe("");
    const list = async (name: Name, id: string) => {
      const answer = await post(await userToken(name), id, "tools/list", {});
      return [answer.status, await answer.text()];
    };
    expect((await list("acme", session))[0]).toBe(200);
    const unknown = await list("eu", "x".repeat(session.length));
    expect(unknown[0]).toBe(404);
    expect(await list("eu", session)).toEqual(unknown);
    expect((await list("acme", session))[0]).toBe(200);

    const sessionsOf = async (operator: AdminClient) => {
      type Found = { readonly id: string; readonly tenant: string; readonly principal: string };
      const answer = await operator.call<{ sessions: Found[] }>("ClientService", "ListSessions");
      return answer.sessions.filter(({ principal }) => principal === `user:${issuer}#ann`);
    };
    const [found] = await sessionsOf(of.acme.operator);
    expect(found).toMatchObject({ tenant: "acme" });
    expect(await sessionsOf(of.eu.operator)).toEqual([]);
    const end = (operator: AdminClient) =>
      operator.call("ClientService", "EndSession", { id: found?.id });
    expect(await refusalOf(end(of.eu.operator))).toContain("There is no such session");
    expect((await list("acme", session))[0]).toBe(200);
    await end(of.acme.operator);
    expect((await list("acme", session))[0]).toBe(404);
  });
});

function post(token: string, session: string | undefined, method: string, params: object) {
  return fetch(`${gateway.agents}/all/mcp`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      Authorization: `Bearer ${token}`,
      ...(session === undefined ? {} : { "Mcp-Session-Id": session }),
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
}

describe("AZ-15: what operators find", () => {
  test.each(names)("%s: records of every transport, and none but their tenant's", async (name) => {
    const { operator } = of[name];
    const isComplete = async () => {
      const calls = await allRecords(operator, { tool: "echo", event: "call.outcome" });
      return new Set(calls.map(({ envelope_json }) => JSON.parse(envelope_json).facts.binding))
        .size;
    };
    await until("calls of all three transports on record", async () => (await isComplete()) === 3);
    const records = await allRecords(operator);
    const theirs = otherOf(name);
    for (const { envelope_json, details_json } of records) {
      expect(JSON.parse(envelope_json).facts.tenant).toBe(tenants[name]);
      expect(details_json).not.toContain(`${theirs}-agent`);
      expect(envelope_json).not.toContain(`"server":"${theirs}-tools"`);
    }
    // Told by the tenant, and found by it.
    const found = await allRecords(everyones, { tenant: tenants[name] });
    expect(found.length).toBeGreaterThanOrEqual(records.length);
    expect(records.some(({ event }) => event === "admin.change")).toBe(true);
  });

  test.each(names)("%s: names of the other tenant lead nowhere", async (name) => {
    const theirs = otherOf(name);
    const asked: readonly (readonly [string, string, object])[] = [
      ["ClientService", "GetClient", { id: `${theirs}-agent` }],
      ["ClientService", "RotateToken", { client_id: `${theirs}-agent` }],
      ["ServerService", "ListTools", { server: `${theirs}-tools` }],
      ["ServerService", "DeleteServer", { name: "shared" }],
      ["PolicyService", "DeleteRole", { name: "analyst", tenant: tenants[theirs] }],
    ];
    for (const [service, method, request] of asked) {
      const error = await of[name].operator
        .call(service, method, { ...request })
        .catch((reason: ServiceError) => reason);
      expect(error).toMatchObject({ code: 5 });
    }
    const { role } = await of[theirs].operator.call<{ role: { tenant: string } }>(
      "PolicyService",
      "GetRole",
      { name: "analyst" },
    );
    expect(role.tenant).toBe(tenants[theirs]);
  });

  test("the command line names tenants as the RPCs do, and no member that they do not have", async () => {
    const run = async (...args: string[]) => {
      const tokenFile = join(gateway.dataDir, "admin.token");
      const command = [
        executable,
        "policy",
        ...args,
        "--admin",
        gateway.admin,
        "--token-file",
        tokenFile,
      ];
      const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
      const said =
        (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
      return { code: await child.exited, said };
    };
    for (const name of names) {
      const found = await run("get-role", "analyst", "--tenant", tenants[name], "--json");
      expect(JSON.parse(found.said)).toMatchObject({ role: { tenant: tenants[name] } });
    }
    expect((await run("get-role", "analyst")).said).toContain('There is no role "analyst"');
    const invented = { name: "analyst", tenant: "acme", is_admin: true };
    const refused = await run("update-role", "--params", JSON.stringify({ role: invented }));
    expect(refused).toMatchObject({
      code: 2,
      said: expect.stringContaining('no member "is_admin"'),
    });
  });

  test("Explain says what holds for the tenant's own", async () => {
    for (const name of names) {
      const explain = (server: string, target: string) =>
        of[name].operator.call<{ allowed: boolean; decided_by: string }>(
          "PolicyService",
          "Explain",
          {
            principal: `client:${name}-agent`,
            server,
            target,
            action: "POLICY_ACTION_INVOKE_TOOL",
          },
        );
      expect(await explain("shared", "echo")).toMatchObject({ allowed: true });
      const slow = await explain("shared", "slow");
      expect(slow.allowed).toBe(false);
      expect(slow.decided_by).toBe(name === "acme" ? "rule:closed" : "default");
      expect((await explain(`${name}-tools`, "echo")).allowed).toBe(true);
      expect(await refusalOf(explain(`${otherOf(name)}-tools`, "echo"))).toContain("no server");
    }
  });
});
