/**
 * Class A+ through the whole gateway, by a tool's setting and by a rule's obligation: answered once PostgreSQL has the
 * record, not made at all while PostgreSQL is frozen, and made again after it. Class A goes on all the while.
 */
import { expect, test } from "bun:test";
import { createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { openModern } from "../support/echo-agents.ts";
import { startGateway } from "../support/gateway-process.ts";
import {
  allRecords,
  generousLimits,
  registerClient,
  registerHttpServer,
} from "../support/operator.ts";
import { startPostgres } from "../support/postgres.ts";
import { startTinyServer } from "../support/tiny-server.ts";

const auditUnavailable = 50301;

test("ST-02 R-07: with PostgreSQL frozen class A goes on and A+ is refused before it is made", async () => {
  await using postgres = await startPostgres();
  await using plain = startTinyServer();
  await using marked = startTinyServer();
  await using gateway = await startGateway({
    env: { DATABASE_URL: postgres.url },
    config: { database: { deadline_ms: 1_000 }, audit: { deadline_ms: 2_000 } },
  });
  using admin = createAdminClient(gateway);
  await registerHttpServer(admin, "plain", plain.url);
  await registerHttpServer(admin, "marked", marked.url, {
    tool_settings: [{ tool: "echo", audit_class: "A+" }],
  });
  const limits = generousLimits;
  const allowed = { allowed_tools: ["plain__*", "marked__*"], limits };
  const token = await registerClient(admin, "payer", allowed);
  using a = await openModern({ base: gateway.agents, token, scope: "plain" });
  using aPlus = await openModern({ base: gateway.agents, token, scope: "marked" });

  await until("an A+ call", async () => (await aPlus.call("before")).text === "before");
  const records = await allRecords(admin, { server: "marked" });
  const outcome = records.find((one) => one.event === "call.outcome" && one.status === "success");
  expect(outcome?.durability).toBe("A+");

  postgres.pause();
  await until(
    "the outage to be noticed",
    async () => {
      const reply = await aPlus.call("noticing");
      return gateway.stdout().includes("storage.down") && reply.code === auditUnavailable;
    },
    30_000,
  );
  const seenBefore = marked.texts.length;
  for (let call = 0; call < 5; call += 1) {
    expect((await aPlus.call(`frozen-${call}`)).code).toBe(auditUnavailable);
    expect((await a.call(`frozen-${call}`)).text).toBe(`frozen-${call}`);
  }
  expect(marked.texts.length).toBe(seenBefore);

  postgres.resume();
  await until("A+ again", async () => (await aPlus.call("after")).text === "after", 40_000);
}, 120_000);
