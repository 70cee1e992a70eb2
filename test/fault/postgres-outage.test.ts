/**
 * PostgreSQL stopped, frozen, restarted in the middle of batches and switched to read-only while agents keep calling:
 * nothing is refused while the spool has room, and afterwards every record is in the database once, in order, and
 * leaf for leaf the same as in the spool.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { Client } from "pg";
import { verifySpool } from "../../src/audit/verify/verify.ts";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { openModern } from "../support/echo-agents.ts";
import { freePort } from "../support/free-port.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { generousLimits, registerClient, registerHttpServer } from "../support/operator.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { faultCycles } from "../support/random.ts";
import { compareLogs, drainedRecords, noContradictions } from "../support/three-logs.ts";
import { startTinyServer } from "../support/tiny-server.ts";

const callsAPhase = faultCycles(8) * 10;
const agents = 4;

interface Outage {
  readonly ids: string;
  readonly begin: (postgres: TestPostgres) => Promise<void>;
  readonly end: (postgres: TestPostgres) => Promise<void>;
  /** Whether the gateway must say that the database is away. */
  readonly isNoticed: boolean;
  /** What else must hold while it lasts. */
  readonly during?: (gateway: GatewayProcess, admin: AdminClient) => Promise<void>;
}

const deadlineMs = 1_000;

const outages: Readonly<Record<string, Outage>> = {
  stopped: {
    ids: "ST-01 D13",
    begin: (postgres) => postgres.stop(),
    end: (postgres) => postgres.restart(),
    isNoticed: true,
  },
  frozen: {
    ids: "ST-02 R-07",
    begin: async (postgres) => postgres.pause(),
    end: async (postgres) => postgres.resume(),
    isNoticed: true,
    during: expectDeadlines,
  },
  "restarted mid-batch": {
    ids: "ST-03",
    begin: (postgres) => postgres.restart(),
    end: (postgres) => postgres.restart(),
    isNoticed: false,
  },
  "read-only": {
    ids: "ST-05",
    begin: (postgres) => setReadOnly(postgres, "on"),
    end: (postgres) => setReadOnly(postgres, "off"),
    isNoticed: true,
  },
  "without its table": {
    ids: "ST-05",
    begin: (postgres) => run(postgres, "alter table audit_records rename to audit_records_hidden"),
    end: (postgres) => run(postgres, "alter table audit_records_hidden rename to audit_records"),
    isNoticed: true,
  },
  "locked as VACUUM FULL locks": {
    ids: "ST-05",
    begin: async (postgres) => {
      const client = await connect(postgres);
      await client.query("begin; lock table audit_records in access exclusive mode");
      held.push(client);
    },
    end: letGo,
    isNoticed: true,
  },
  "out of connections": {
    ids: "ST-05",
    begin: takeEveryConnection,
    end: letGo,
    isNoticed: true,
  },
};

/** Connections that an outage consists of. */
const held: Client[] = [];

async function letGo(): Promise<void> {
  for (const client of held.splice(0)) await client.end();
}

async function connect(postgres: TestPostgres): Promise<Client> {
  const client = new Client({ connectionString: postgres.url });
  client.on("error", () => {});
  await client.connect();
  return client;
}

async function run(postgres: TestPostgres, text: string): Promise<void> {
  const client = await connect(postgres);
  await client.query(text);
  await client.end();
}

/** The gateway's own among them: the last that came is ended until no other gets in. */
async function takeEveryConnection(postgres: TestPostgres): Promise<void> {
  const first = await connect(postgres);
  held.push(first);
  for (let refused = 0; refused < 3; ) {
    try {
      held.push(await connect(postgres));
      refused = 0;
    } catch {
      refused += 1;
      await first.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mcp-gateway'",
      );
    }
  }
}

for (const [name, outage] of Object.entries(outages)) {
  test(`${outage.ids} R-06: with PostgreSQL ${name} no call is refused and no record lost`, async () => {
    await using postgres = await startPostgres();
    await using upstream = startTinyServer();
    await using gateway = await startGateway({
      env: { DATABASE_URL: postgres.url },
      config: { database: { deadline_ms: deadlineMs } },
    });
    using admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", upstream.url);
    const token = await registerClient(admin, "loader", {
      allowed_tools: ["tiny__*"],
      limits: generousLimits,
    });
    const acknowledged: string[] = [];
    const refused: string[] = [];

    async function phase(phaseName: string): Promise<void> {
      const running = Array.from({ length: agents }, async (_, number) => {
        using agent = await openModern({ base: gateway.agents, token });
        for (let call = 0; call < callsAPhase / agents; call += 1) {
          const text = `${phaseName}-${number}-${call}`;
          const reply = await agent.call(text);
          if (reply.text === text) acknowledged.push(text);
          else refused.push(`${text}: ${reply.raw}`);
        }
      });
      await Promise.all(running);
    }

    await phase("before");
    const during = phase("into");
    await outage.begin(postgres);
    await during;
    await phase("during");
    if (outage.isNoticed) {
      await until("storage.down in the log", () => gateway.stdout().includes("storage.down"));
      const ready = await fetch(`${gateway.ops}/health/ready`);
      expect(ready.status).toBe(200);
      await outage.during?.(gateway, admin);
      await phase("noticed");
    }
    await outage.end(postgres);
    await phase("after");

    expect(refused).toEqual([]);
    await expectSame(admin, gateway.dataDir, { acknowledged, seen: upstream.texts });
    if (!outage.isNoticed) return;
    const events = (await drainedRecords(admin)).map((record) => record.event);
    expect(events).toContain("storage.down");
    expect(events).toContain("storage.up");
  });
}

/**
 * A frozen server answers nothing at all, so whatever waits for it ends by the gateway's own deadline and says so:
 * the copy, the health check, an operator's reading and an operator's change.
 */
async function expectDeadlines(gateway: GatewayProcess, admin: AdminClient): Promise<void> {
  const late = `did not answer within ${deadlineMs} ms`;
  const down = gateway.stdout().match(/.*"storage\.down".*/)?.[0];
  expect(down).toMatch(/did not answer within \d+ ms/);
  const health = await fetch(`${gateway.ops}/health/detailed`);
  expect(await health.text()).toContain(late);
  const asked = [
    admin.call("AuditService", "QueryRecords", { page_size: 1 }),
    admin.call("PolicyService", "CreateRole", { role: { name: "late", permissions: [] } }),
  ];
  for (const end of await Promise.allSettled(asked)) {
    expect(end.status === "rejected" ? String(end.reason) : "answered").toContain("UNAVAILABLE");
  }
}

/** The database's copy against what agents and the server know, and against the spool. */
async function expectSame(
  admin: AdminClient,
  dataDir: string,
  told: { readonly acknowledged: readonly string[]; readonly seen: readonly string[] },
): Promise<void> {
  const records = await drainedRecords(admin);
  expect(compareLogs({ ...told, records })).toEqual(noContradictions);
  const verified = await admin.call<{ ok: boolean; logs: { last_seq: number }[] }>(
    "AuditService",
    "VerifyLog",
  );
  expect(verified).toMatchObject({ ok: true });
  // A chain that holds and ends in the same leaf is the same record for record.
  const spool = verifySpool(join(dataDir, "spool"));
  expect(spool.violation).toBeUndefined();
  const atEnd = records.find((record) => record.seq === spool.lastSeq);
  if (atEnd !== undefined) expect(atEnd.leaf).toBe(spool.lastLeaf);
  expect(records.at(-1)?.seq).toBeLessThanOrEqual(spool.lastSeq);
}

/** Read-only for every connection there is and will be, as a failover to a replica makes it. */
async function setReadOnly(postgres: TestPostgres, state: "on" | "off"): Promise<void> {
  const client = new Client({ connectionString: postgres.url });
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query("SET default_transaction_read_only = off");
    await client.query(`ALTER SYSTEM SET default_transaction_read_only = ${state}`);
    await client.query("SELECT pg_reload_conf()");
  } finally {
    await client.end();
  }
}

test("ST-01: with PostgreSQL down at boot the gateway waits, alive and not ready, and then serves", async () => {
  await using postgres = await startPostgres();
  await postgres.stop();
  const port = await freePort();
  const starting = startGateway({
    env: { DATABASE_URL: postgres.url },
    config: { database: { deadline_ms: 1000 } },
    opsPort: port,
    startTimeoutMs: 60_000,
  });
  const status = (path: string) =>
    fetch(`http://127.0.0.1:${port}/health/${path}`).then(
      (response) => response.status,
      () => 0,
    );
  await until("an answer to probes", async () => (await status("live")) === 200);
  expect(await status("ready")).toBe(503);
  await postgres.restart();
  await using gateway = await starting;
  await until("readiness", async () => (await status("ready")) === 200);
  expect(gateway.stdout()).toContain("storage.waiting");
});
