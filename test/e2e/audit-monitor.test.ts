/**
 * The monitor in the executable, over a real PostgreSQL and as it is configured by default: what the database's
 * administrator changes is on record and an alarm within a minute (ST-06), and put back from the spool.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "pg";
import { createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { startGateway } from "../support/gateway-process.ts";
import { readMetric } from "../support/metrics.ts";
import { allRecords, registerClient } from "../support/operator.ts";
import { startPostgres } from "../support/postgres.ts";
import { untilDrained } from "../support/three-logs.ts";

setDefaultTimeout(180_000);

/** What ST-06 promises. */
const promisedMs = 60_000;

test("ST-06: a row that a DBA edits and one that is deleted are found within a minute, recorded and healed", async () => {
  await using postgres = await startPostgres();
  await using gateway = await startGateway({ env: { DATABASE_URL: postgres.url } });
  using admin = createAdminClient(gateway);
  for (const id of ["one", "two", "three"])
    await registerClient(admin, id, { allowed_tools: ["*"] });
  await untilDrained(admin);
  const [, edited, deleted] = await allRecords(admin, { event: "admin.change" });
  const dba = new Client({ connectionString: postgres.url });
  await dba.connect();
  await dba.query("update audit_records set status = 'denied' where seq = $1", [edited?.seq]);
  await dba.query("delete from audit_records where seq = $1", [deleted?.seq]);
  await dba.end();
  const violations = await until(
    "both are on record",
    async () => {
      const found = await allRecords(admin, { event: "integrity.violation" });
      return found.length >= 2 && found.map((one) => JSON.parse(one.envelope_json).facts);
    },
    promisedMs,
  );
  expect(violations).toContainEqual(
    expect.objectContaining({ place: "database", kind: "edited", from: edited?.seq }),
  );
  expect(violations).toContainEqual(
    expect.objectContaining({ place: "database", kind: "deleted", from: deleted?.seq }),
  );
  expect(gateway.stdout()).toContain("audit.integrity_violation");
  await until(
    "it is healed",
    async () => (await readMetric(gateway.ops, "mcp_gateway_audit_healed_total")) >= 2,
  );
  await until("no alarm any more", async () => {
    return (await readMetric(gateway.ops, "mcp_gateway_audit_integrity_violations")) === 0;
  });
  await until("the healing is on record", async () => {
    return (await allRecords(admin, { event: "integrity.healed" })).length > 0;
  });
  const again = await allRecords(admin, { event: "admin.change" });
  expect(again.find((one) => one.seq === edited?.seq)).toEqual(edited);
  expect(again.find((one) => one.seq === deleted?.seq)).toEqual(deleted);
});
