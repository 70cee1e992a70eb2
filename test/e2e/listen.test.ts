/** Change notices through the executable: from servers of both eras and from operators, to a modern agent. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { eventsOf } from "../support/agents.ts";
import { until, within } from "../support/deadline.ts";
import { type FakeServer, startHttpV1, startHttpV2 } from "../support/fake-servers/network.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { modernCall, modernPost } from "../support/modern-agent.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";

let gateway: GatewayProcess;
let admin: AdminClient;
let token = "";
const servers: FakeServer[] = [];

beforeAll(async () => {
  servers.push(await startHttpV1(), await startHttpV2());
  gateway = await startGateway();
  admin = createAdminClient(gateway);
  for (const [at, name] of ["old", "new"].entries()) {
    await registerHttpServer(admin, name, servers[at]?.url ?? "");
  }
  const all = { allowed_tools: ["*"], allowed_resources: ["*"], allowed_prompts: ["*"] };
  token = await registerClient(admin, "visitor", all);
});
afterAll(async () => {
  admin[Symbol.dispose]();
  await gateway[Symbol.asyncDispose]();
  for (const server of servers) await server.stop();
});

/** Listens that their agent gave up. */
let left = 0;

async function listen(scope: string) {
  const notifications = { toolsListChanged: true };
  const params = { notifications };
  const call = { base: gateway.agents, scope, token, method: "subscriptions/listen", params };
  const leave = new AbortController();
  const response = await modernPost({ ...call, id: "l", signal: leave.signal });
  const events = eventsOf(response);
  const next = async () => {
    const { value, done } = await within("an event", events.next());
    return done ? undefined : JSON.parse(value.text);
  };
  expect((await next()).params.notifications).toEqual(notifications);
  return {
    next,
    leave: () => {
      left += 1;
      leave.abort();
    },
  };
}

const changed = { method: "notifications/tools/list_changed" };

describe("a modern agent hears", () => {
  test.each(["old", "new"])(
    "of the %s server's change, in its scope and in the joined one",
    async (name) => {
      const own = await listen(name);
      const joined = await listen("all");
      const base = gateway.agents;
      const params = { name: "change", arguments: { kind: "tools" } };
      await modernCall({ base, scope: name, token, method: "tools/call", params });
      for (const { next } of [own, joined]) {
        const message = await next();
        expect(message).toMatchObject(changed);
        expect(message.params._meta).toEqual({ "io.modelcontextprotocol/subscriptionId": "l" });
      }
      own.leave();
      joined.leave();
    },
  );

  test("of an operator's new server in the joined scope", async () => {
    const joined = await listen("all");
    await registerHttpServer(admin, "third", servers[1]?.url ?? "");
    expect(await joined.next()).toMatchObject(changed);
    joined.leave();
  });
});

test("its listens are on record when they are over, and a stop ends them with their result", async () => {
  const last = await listen("new");
  const isListen = ({ method }: { method: string }) => method === "subscriptions/listen";
  // The gateway sees that somebody left when the connection's end comes to it.
  const records = await until("a record of each that was left", async () => {
    const found = (await allRecords(admin)).filter(isListen);
    return found.length >= left ? found : undefined;
  });
  expect(records.map((one) => [one.event, one.status])).toEqual(
    new Array(records.length).fill(["call.outcome", "success"]),
  );
  gateway.kill("SIGTERM");
  expect(await last.next()).toMatchObject({ id: "l", result: { resultType: "complete" } });
  expect(await last.next()).toBeUndefined();
  expect(await within("the exit", gateway.exited)).toBe(0);
});
