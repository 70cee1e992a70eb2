/**
 * PostgreSQL stopped, frozen and started again while agents keep calling: nothing is refused while the spool has
 * room, and afterwards every record is in the database, once and in order.
 */
import { expect, test } from "bun:test";
import { createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import {
  allRecords,
  generousLimits,
  registerClient,
  registerHttpServer,
} from "../support/operator.ts";
import { startPostgres } from "../support/postgres.ts";
import { startTinyServer } from "../support/tiny-server.ts";

const callsAPhase = Number(process.env.FAULT_CYCLES ?? 8) * 10;

for (const outage of ["stopped", "frozen"] as const) {
  test(`ST-01 ST-02 D13: with PostgreSQL ${outage} no call is refused and no record lost`, async () => {
    await using postgres = await startPostgres();
    await using upstream = startTinyServer();
    await using gateway = await startGateway({ env: { DATABASE_URL: postgres.url } });
    using admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", upstream.url);
    const token = await registerClient(admin, "loader", {
      allowed_tools: ["tiny__*"],
      limits: generousLimits,
    });
    const expected: string[] = [];

    async function phase(name: string): Promise<void> {
      for (let call = 0; call < callsAPhase; call += 1) {
        const id = `${name}-${call}`;
        expected.push(id);
        const answer = await modernCall({
          base: gateway.agents,
          scope: "tiny",
          token,
          method: "tools/call",
          params: { name: "echo", arguments: { text: id } },
          headers: { "X-Request-ID": id },
        });
        expect(answer.result, `${id}: ${answer.text}`).toBeDefined();
      }
    }

    await phase("before");
    if (outage === "stopped") await postgres.stop();
    else postgres.pause();
    await phase("during");
    if (outage === "stopped") await postgres.restart();
    else postgres.resume();
    await phase("after");

    const shipped = await until(
      "every outcome in the database",
      async () => {
        const records = await allRecords(admin, { event: "call.outcome", status: "success" }).catch(
          () => [],
        );
        const ids = records.map((record) => record.correlation_id).filter((id) => id !== "");
        return expected.every((id) => ids.includes(id)) ? ids : undefined;
      },
      60_000,
    );
    expect(shipped.filter((id) => expected.includes(id)).sort()).toEqual([...expected].sort());
    expect(await admin.call("AuditService", "VerifyLog")).toMatchObject({ ok: true });
  });
}
