/**
 * What a start does about the PostgreSQL it was given: it refuses a table too large to be moved meanwhile and names
 * the command that moves it, and it ends at once, with the reason and without the password, where waiting is useless.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Client } from "pg";
import { startLimits } from "../../src/storage/migrations.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { executable } from "../support/gateway-process.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { schemaVersion1 } from "../support/schema-v1.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(120_000);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres[Symbol.asyncDispose]());

let databases = 0;
async function newDatabase(): Promise<string> {
  databases += 1;
  await query(postgres.url, `create database start_${databases}`);
  return postgres.url.replace(/\/postgres$/, `/start_${databases}`);
}

async function query(
  url: string,
  ...texts: readonly string[]
): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    let rows: readonly Record<string, unknown>[] = [];
    for (const text of texts) ({ rows } = await client.query(text));
    return rows;
  } finally {
    await client.end();
  }
}

async function serve(databaseUrl: string) {
  await using folder = temporaryFolder("start");
  const ports = ["--port", "0", "--admin-port", "0", "--ops-port", "0"];
  const args = ["serve", "--data-dir", join(folder.path, "data"), ...ports];
  return await runGateway(args, { env: { DATABASE_URL: databaseUrl } });
}

test("CF-07: a start refuses a large table and names the command, which has a day for it and moves it", async () => {
  const url = await newDatabase();
  const { recordsMax } = startLimits;
  await query(
    url,
    ...schemaVersion1("postgres"),
    `insert into audit_records (log, seq, leaf, time_ms, event, durability)
      select 1, seq, 'leaf-' || seq, ${Date.UTC(2026, 0)} + seq, 'call.outcome', 'A'
      from generate_series(3, ${recordsMax + 1}) seq`,
    // Each statement of a migration notes how long it may take.
    "create table allowed (time text)",
    `create function note_allowed() returns event_trigger language plpgsql
      as $$ begin insert into allowed values (current_setting('statement_timeout')); end $$`,
    "create event trigger noting on ddl_command_start execute function note_allowed()",
  );
  const refused = await serve(url);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain(`more than ${recordsMax} audit records`);
  expect(refused.stderr).toContain('run "mcp-gateway migrate"');
  expect(await query(url, "select max(version)::int as version from schema_migrations")).toEqual([
    { version: 1 },
  ]);
  await query(url, "delete from allowed");
  const env = { DATABASE_URL: url };
  const migrated = await runGateway(["migrate"], { env, timeoutMs: 90_000 });
  expect(migrated).toMatchObject({ exitCode: 0 });
  expect(await query(url, "select distinct time from allowed")).toEqual([{ time: "1d" }]);
  expect(await query(url, "select count(*)::int as records from audit_records_2026_01")).toEqual([
    { records: recordsMax - 1 },
  ]);
});

test("a deadline for migrate that is none is a wrong command line", async () => {
  for (const [hours, words] of [
    ["0", "a whole number of at least 1"],
    ["169", "at most 168"],
  ] as const) {
    const end = await runGateway(["migrate", "--deadline-hours", hours]);
    expect(end.exitCode).toBe(2);
    expect(end.stderr).toContain(words);
  }
});

test("a signal ends migrate while it waits for another one, and nothing was changed", async () => {
  const url = await newDatabase();
  await query(url, ...schemaVersion1("postgres"));
  const holder = new Client({ connectionString: url });
  await holder.connect();
  await holder.query("begin; lock table audit_records in access exclusive mode");
  await using folder = temporaryFolder("migrate");
  const child = Bun.spawn([executable, "migrate"], {
    cwd: folder.path,
    env: { DATABASE_URL: url, HOME: folder.path },
    stdio: ["ignore", "ignore", "pipe"],
  });
  await until("it waits for the lock", async () => {
    const waiting =
      "select 1 from pg_stat_activity where application_name = 'mcp-gateway' and wait_event_type = 'Lock'";
    return (await query(url, waiting)).length > 0;
  });
  child.kill("SIGTERM");
  expect(await child.exited).toBe(1);
  expect(await new Response(child.stderr).text()).toContain("stopped by a signal");
  await holder.end();
  expect(await query(url, "select max(version)::int as version from schema_migrations")).toEqual([
    { version: 1 },
  ]);
});

const wrongPassword = "not-the-password";
const refusals: Readonly<Record<string, (url: URL) => unknown>> = {
  "28P01": (url) => {
    url.password = wrongPassword;
  },
  "3D000": (url) => {
    url.pathname = "/no_such_database";
  },
  "42501": async (url) => {
    await query(url.href, `create role looker login password '${wrongPassword}'`);
    await query(url.href, "revoke create on schema public from public");
    url.username = "looker";
    url.password = wrongPassword;
  },
};

for (const [code, spoil] of Object.entries(refusals)) {
  test(`ST-01: what PostgreSQL refuses for good (${code}) ends the start with the reason and no secret`, async () => {
    const url = new URL(await newDatabase());
    const { password } = url;
    await spoil(url);
    const end = await serve(url.href);
    expect(end.exitCode).toBe(1);
    expect(end.stderr).toContain(`(${code})`);
    expect(end.stderr).toContain("waiting would change nothing");
    for (const secret of [password, wrongPassword]) {
      expect(end.stdout + end.stderr).not.toContain(secret);
    }
  });
}

test("ST-01: a URL without a password ends the start as well", async () => {
  const url = new URL(await newDatabase());
  url.password = "";
  const end = await serve(url.href);
  expect(end.exitCode).toBe(1);
  expect(end.stderr).toContain("waiting would change nothing");
});

test("ST-04: under a strict preset a server without fsync is refused and not waited for", async () => {
  await using careless = await startPostgres({ fsync: "off" });
  const opening = openStore({
    databaseUrl: careless.url,
    dataDir: "/nonexistent",
    log: silentLog,
    deadlineMs: 30_000,
    migrate: true,
    mustBeDurable: true,
    waitMs: 100_000,
  });
  const error = await opening.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toMatchObject({ kind: "conflict" });
  expect(String(error)).toContain("undurable-database");
});
