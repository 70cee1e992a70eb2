/**
 * PostgreSQL stopped, frozen, restarted in the middle of batches, read-only, out of disk or not to be found while agents
 * keep calling: nothing is refused while the spool has room, and afterwards every record is in the database once, in
 * order, and leaf for leaf the same as in the spool.
 */
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { verifySpool } from "../../src/audit/verify/verify.ts";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { openModern } from "../support/echo-agents.ts";
import { freePort } from "../support/free-port.ts";
import {
  type GatewayOptions,
  type GatewayProcess,
  startGateway,
} from "../support/gateway-process.ts";
import { readMetric } from "../support/metrics.ts";
import { registerClient, registerHttpServer } from "../support/operator.ts";
import { canNameHosts, createOwnNames, type OwnNames } from "../support/own-names.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import {
  endConnections,
  letGo,
  lockTable,
  runSql,
  setReadOnly,
  takeEveryConnection,
} from "../support/postgres-upsets.ts";
import { faultCycles } from "../support/random.ts";
import { canMount, fillDisk } from "../support/small-disk.ts";
import { compareLogs, drainedRecords, noContradictions } from "../support/three-logs.ts";
import { startTinyServer } from "../support/tiny-server.ts";

const callsAPhase = faultCycles(8) * 10;
const agents = 4;

interface Outage {
  readonly ids: string;
  readonly begin: (postgres: TestPostgres, names: OwnNames) => Promise<void>;
  readonly end: (postgres: TestPostgres, names: OwnNames) => Promise<void>;
  /** What it needs is not permitted here. */
  readonly isSkipped?: boolean;
  /** PostgreSQL's data is on a disk of this size. */
  readonly disk?: string;
  /** The gateway knows PostgreSQL by a host name of its own. */
  readonly isNamed?: boolean;
  readonly config?: GatewayOptions["config"];
  /** Whether the gateway must say that the database is away. */
  readonly isNoticed: boolean;
  /** What else must hold while it lasts. */
  readonly during?: (gateway: GatewayProcess, admin: AdminClient) => Promise<void>;
}

/** Shorter than a health check may take, which would otherwise say so in its own words. */
const deadlineMs = 1_500;
const databaseName = "database.test";

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
    config: { database: { deadline_ms: deadlineMs } },
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
    begin: (postgres) =>
      runSql(postgres, "alter table audit_records rename to audit_records_hidden"),
    end: (postgres) => runSql(postgres, "alter table audit_records_hidden rename to audit_records"),
    isNoticed: true,
  },
  "locked as VACUUM FULL locks": {
    ids: "ST-05",
    begin: (postgres) => lockTable(postgres, "audit_records"),
    end: letGo,
    config: { database: { deadline_ms: deadlineMs } },
    isNoticed: true,
  },
  "out of connections": {
    ids: "ST-05",
    begin: takeEveryConnection,
    end: letGo,
    isNoticed: true,
  },
  "out of disk": {
    ids: "ST-05",
    isSkipped: !canMount("ST-05"),
    disk: "128m",
    begin: async ({ folder }) => fillDisk(join(folder, "filler")),
    end: async ({ folder }) => rmSync(join(folder, "filler")),
    isNoticed: true,
    during: async (gateway) => expect(whyDown(gateway)).toContain("No space left on device"),
  },
  // A connection needs no name once it stands, so they are ended too.
  "not found by its name": {
    ids: "ST-01",
    isSkipped: !canNameHosts("ST-01"),
    isNamed: true,
    begin: async (postgres, names) => {
      names.set([]);
      await runSql(postgres, endConnections);
    },
    end: async (_, names) => names.set([databaseName]),
    isNoticed: true,
    during: expectNoName,
  },
};

/** Where the gateway finds this PostgreSQL, by a name only where the outage is about it. */
function placeOf({ isNamed }: Outage, postgres: TestPostgres, names: OwnNames): GatewayOptions {
  if (isNamed !== true) return { env: { DATABASE_URL: postgres.url } };
  const url = postgres.url.replace("127.0.0.1", databaseName);
  return { env: { DATABASE_URL: url }, prefix: names.prefix };
}

for (const [name, outage] of Object.entries(outages)) {
  const title = `${outage.ids} R-06: with PostgreSQL ${name} no call is refused and no record lost`;
  test.skipIf(outage.isSkipped === true)(title, async () => {
    await using postgres = await startPostgres({}, outage.disk);
    await using names = createOwnNames();
    names.set([databaseName]);
    await using upstream = startTinyServer();
    await using gateway = await startGateway({
      ...placeOf(outage, postgres, names),
      config: outage.config ?? {},
    });
    using admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", upstream.url);
    const token = await registerClient(admin, "loader", { allowed_tools: ["tiny__*"] });
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
    await outage.begin(postgres, names);
    await during;
    await phase("during");
    if (outage.isNoticed) {
      await until("storage.down in the log", () => gateway.stdout().includes("storage.down"));
      const ready = await fetch(`${gateway.ops}/health/ready`);
      expect(ready.status).toBe(200);
      await outage.during?.(gateway, admin);
      await phase("noticed");
      const backlog = await readMetric(gateway.ops, "mcp_gateway_audit_backlog");
      expect(backlog).toBeGreaterThanOrEqual(2 * callsAPhase);
    }
    await outage.end(postgres, names);
    await phase("after");

    expect(refused).toEqual([]);
    await expectSame(admin, gateway.dataDir, { acknowledged, seen: upstream.texts });
    if (!outage.isNoticed) return;
    const events = (await drainedRecords(admin)).map((record) => record.event);
    expect(events).toContain("storage.down");
    expect(events).toContain("storage.up");
  });
}

/** What the gateway said when it noticed. */
function whyDown(gateway: GatewayProcess): string | undefined {
  return gateway.stdout().match(/.*"storage\.down".*/)?.[0];
}

/**
 * A frozen server answers nothing at all, so whatever waits for it ends by the gateway's own deadline and says so:
 * the copy, the health check, an operator's reading and an operator's change.
 */
async function expectDeadlines(gateway: GatewayProcess, admin: AdminClient): Promise<void> {
  const late = `did not answer within ${deadlineMs} ms`;
  expect(whyDown(gateway)).toMatch(/did not answer within \d+ ms/);
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

async function expectNoName(gateway: GatewayProcess): Promise<void> {
  const health = await fetch(`${gateway.ops}/health/detailed`);
  expect(await health.text()).toContain("getaddrinfo EAI_AGAIN");
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

for (const name of ["stopped", "not found by its name"]) {
  const outage = outages[name];
  if (outage === undefined) throw new Error(`no outage is called ${name}`);
  const title = `ST-01: with PostgreSQL ${name} at boot the gateway waits, alive and not ready, and then serves`;
  test.skipIf(outage.isSkipped === true)(title, async () => {
    await using postgres = await startPostgres();
    await using names = createOwnNames();
    await outage.begin(postgres, names);
    const port = freePort();
    const starting = startGateway({
      ...placeOf(outage, postgres, names),
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
    await outage.end(postgres, names);
    await using gateway = await starting;
    await until("readiness", async () => (await status("ready")) === 200);
    const waiting = gateway.stdout().match(/.*"storage\.waiting".*/)?.[0];
    expect(waiting).toContain(outage.isNamed ? "getaddrinfo EAI_AGAIN" : "ECONNREFUSED");
  });
}
