/**
 * Two tenants on one gateway who give the same names to their roles, rules and tools: over every transport neither
 * sees, calls, resumes or finds in memory anything of the other (P17, J11, AZ-05, AZ-15, AZ-17).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { AdminClient } from "../support/admin-client.ts";
import type { GatewayProcess } from "../support/gateway-process.ts";
import { modernCall, modernPost } from "../support/modern-agent.ts";
import { registerClient } from "../support/operator.ts";
import { agentKinds } from "../support/sdk-agents.ts";
import {
  issuer,
  otherOf,
  refusalOf,
  startTenantGateway,
  type TenantGateway,
  type TenantName,
  tenantNames,
} from "../support/tenant-gateway.ts";
import type { TinyServer } from "../support/tiny-server.ts";

let world: TenantGateway;
let gateway: GatewayProcess;
let of: TenantGateway["of"];
beforeAll(async () => {
  world = await startTenantGateway();
  ({ gateway, of } = world);
});
afterAll(() => world[Symbol.asyncDispose]());

const visible: Readonly<Record<TenantName, readonly string[]>> = {
  acme: ["acme-tools__echo", "acme-tools__slow", "shared__echo"],
  eu: ["eu-tools__echo", "shared__echo"],
};

describe.each(agentKinds.map((kind) => [kind.name, kind] as const))("%s", (_name, kind) => {
  test.each(tenantNames)(
    "AZ-17, P17: %s sees and calls what its own role and rule say",
    async (name) => {
      const { token, server } = of[name];
      await using agent = await kind.connect({ base: gateway.agents, token });
      const listed = (await agent.listTools()).map((tool) => tool.name).sort();
      expect(listed).toEqual([...visible[name]]);
      const text = `${kind.name} of ${name}`;
      await agent.callTool(`${name}-tools__echo`, { text });
      expect(server.texts).toContain(text);
      expect(of[otherOf(name)].server.texts).not.toContain(text);
    },
  );

  test.each(tenantNames)(
    "AZ-15: to %s the other's tools are as unknown as no one's",
    async (name) => {
      await using agent = await kind.connect({ base: gateway.agents, token: of[name].token });
      const theirs = `${otherOf(name)}-tools__echo`;
      const unknown = await refusalOf(agent.callTool("no-tools__echo", {}));
      const refused = await refusalOf(agent.callTool(theirs, { text: "stolen" }));
      expect(refused.replace(theirs, "?")).toBe(unknown.replace("no-tools__echo", "?"));
      expect(of[otherOf(name)].server.texts).not.toContain("stolen");
    },
  );

  test.each(tenantNames)(
    "AZ-15: to %s the other's scopes are as unknown as no one's",
    async (name) => {
      const { token } = of[name];
      const enter = (scope: string) =>
        refusalOf(kind.connect({ base: gateway.agents, token, scope }));
      const unknown = await enter("nowhere");
      for (const scope of [`${otherOf(name)}-tools`, `${otherOf(name)}-bundle`]) {
        expect((await enter(scope)).replaceAll(scope, "?")).toBe(
          unknown.replaceAll("nowhere", "?"),
        );
      }
      for (const scope of [`${name}-tools`, `${name}-bundle`]) {
        await using agent = await kind.connect({ base: gateway.agents, token, scope });
        expect((await agent.listTools()).length).toBeGreaterThan(0);
      }
    },
  );
});

describe("J11: a user's tenant is the token's", () => {
  test.each(tenantNames)("the same user is somebody else in %s", async (name) => {
    const ask = { base: gateway.agents, token: await world.userToken(name) };
    const { result } = await modernCall({ ...ask, method: "tools/list" });
    const tools = result?.tools as readonly { readonly name: string }[];
    expect(tools.map((tool) => tool.name).sort()).toEqual([...visible[name]]);
  });

  test("AZ-15: a token of one tenant by the other's client is nobody's", async () => {
    const token = await world.userToken("acme", { azp: "eu-agent" });
    const answer = await modernCall({ base: gateway.agents, token, method: "tools/list" });
    expect(answer.status).toBe(401);
    const own = await world.userToken("acme", { azp: "acme-agent" });
    const fine = await modernCall({ base: gateway.agents, token: own, method: "tools/list" });
    expect(fine.status).toBe(200);
  });

  test("AZ-15: the other's scope and no scope at all are one answer, byte for byte", async () => {
    const ask = async (scope: string) => {
      const token = await world.userToken("acme");
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
    expect(timesSeen(world.shared, "kept")).toBe(1);
    await echo(of.eu.token, "shared__echo", "kept");
    expect(timesSeen(world.shared, "kept")).toBe(2);
  });

  test("an operator purges their tenant's replies, and no one else's", async () => {
    const purge = (request: object) => of.eu.operator.call("CacheService", "Purge", { ...request });
    for (const name of tenantNames) await echo(of[name].token, "shared__echo", "purged");
    expect(timesSeen(world.shared, "purged")).toBe(2);
    await purge({ all: true });
    await echo(of.acme.token, "shared__echo", "purged");
    expect(timesSeen(world.shared, "purged")).toBe(2);
    await echo(of.eu.token, "shared__echo", "purged");
    expect(timesSeen(world.shared, "purged")).toBe(3);
  });

  test("AZ-05: a session is its tenant's: the same user of the other tenant does not find it", async () => {
    const initialize = await post(await world.userToken("acme"), undefined, "initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "e2e", version: "1" },
    });
    const session = initialize.headers.get("mcp-session-id") ?? "";
    expect(session).not.toBe("");
    const list = async (name: TenantName, id: string) => {
      const answer = await post(await world.userToken(name), id, "tools/list", {});
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

test("AZ-05: the same user of the other tenant posts into no HTTP+SSE session of this one", async () => {
  const ending = new AbortController();
  const headers = {
    Accept: "text/event-stream",
    Authorization: `Bearer ${await world.userToken("acme")}`,
  };
  const stream = await fetch(`${gateway.agents}/all/sse`, { headers, signal: ending.signal });
  const { value } = await stream.body!.getReader().read();
  const path = /^data: (\S+)/m.exec(new TextDecoder().decode(value))?.[1] ?? "";
  const send = async (name: TenantName, to: string) => {
    const answer = await fetch(new URL(to, gateway.agents), {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Authorization: `Bearer ${await world.userToken(name)}`,
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
    });
    return [answer.status, await answer.text()];
  };
  const id = new URL(path, gateway.agents).searchParams.get("sessionId") ?? "";
  expect(id).not.toBe("");
  const unknown = await send("eu", path.replace(id, "x".repeat(id.length)));
  expect(unknown[0]).toBe(404);
  expect(await send("eu", path)).toEqual(unknown);
  expect((await send("acme", path))[0]).toBe(202);
  ending.abort();
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
