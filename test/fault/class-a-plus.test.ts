/**
 * Class A+ through the whole gateway, by a tool's setting and by a rule's obligation: answered once PostgreSQL has the
 * record, not made at all while PostgreSQL is frozen, and made again after it. Class A goes on all the while.
 */
import { expect, test } from "bun:test";
import { createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { openModern } from "../support/echo-agents.ts";
import { startGateway } from "../support/gateway-process.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { startPostgres } from "../support/postgres.ts";
import { startTinyServer } from "../support/tiny-server.ts";

const auditUnavailable = 50301;

test("ST-02 R-07: with PostgreSQL frozen class A goes on and A+ is refused before it is made", async () => {
  await using postgres = await startPostgres();
  await using plain = startTinyServer();
  await using marked = startTinyServer();
  await using ruled = startTinyServer();
  await using gateway = await startGateway({
    env: { DATABASE_URL: postgres.url },
    config: { database: { deadline_ms: 3_000 } },
  });
  using admin = createAdminClient(gateway);
  await registerHttpServer(admin, "plain", plain.url);
  await registerHttpServer(admin, "marked", marked.url, {
    tool_settings: [{ tool: "echo", audit_class: "A+" }],
  });
  await registerHttpServer(admin, "ruled", ruled.url);
  await admin.call("PolicyService", "CreateRule", {
    rule: {
      name: "surely",
      effect: "RULE_EFFECT_REQUIRE",
      condition: { server: "ruled" },
      obligations: { audit_class: "A+" },
    },
  });
  const allowed = { allowed_tools: ["plain__*", "marked__*", "ruled__*"] };
  const token = await registerClient(admin, "payer", allowed);
  using a = await openModern({ base: gateway.agents, token, scope: "plain" });
  const aPlus = [
    { server: "marked", upstream: marked },
    { server: "ruled", upstream: ruled },
  ];
  using agents = new DisposableStack();
  const open = async (scope: string) =>
    agents.use(await openModern({ base: gateway.agents, token, scope }));
  const calls = await Promise.all(
    aPlus.map(async (one) => ({ ...one, agent: await open(one.server) })),
  );

  for (const { server, agent } of calls) {
    await until("an A+ call", async () => (await agent.call("before")).text === "before");
    const records = await allRecords(admin, { server });
    const outcome = records.find((one) => one.event === "call.outcome" && one.status === "success");
    expect([server, outcome?.durability]).toEqual([server, "A+"]);
  }
  expect((await a.call("before")).text).toBe("before");

  postgres.pause();
  for (const { agent } of calls) {
    await until(
      "the outage to be noticed",
      async () => {
        const reply = await agent.call("noticing");
        return gateway.stdout().includes("storage.down") && reply.code === auditUnavailable;
      },
      60_000,
    );
  }
  const seenBefore = aPlus.map(({ upstream }) => upstream.texts.length);
  for (let call = 0; call < 5; call += 1) {
    for (const { agent } of calls) {
      expect((await agent.call(`frozen-${call}`)).code).toBe(auditUnavailable);
    }
    expect((await a.call(`frozen-${call}`)).text).toBe(`frozen-${call}`);
  }
  expect(aPlus.map(({ upstream }) => upstream.texts.length)).toEqual(seenBefore);

  postgres.resume();
  for (const { agent } of calls) {
    await until("A+ again", async () => (await agent.call("after")).text === "after", 40_000);
  }
});
