/**
 * K-12: after an erasure no byte is left of the key, of the randoms, of the values, of their search tokens or of the
 * sealed parts, in any file: the spool, SQLite with its journal, a PostgreSQL's whole folder.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Client } from "pg";
import { createOpener } from "../../src/audit/opener.ts";
import { findOnDisk, formsOf } from "../support/bytes-on-disk.ts";
import { until } from "../support/deadline.ts";
import { type ErasingLog, openErasingLog, secretOf } from "../support/erasing-log.ts";
import { startPostgres } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(120_000);

const principal = "client:ann";
const target = { kind: "subject", tenant: "", principal } as const;
const request = { target, by: "operator:ada", reason: "test", validateOnly: false } as const;

type Needles = Readonly<Record<string, readonly Buffer[]>>;

/** What is to be gone: collected while it is still there. */
async function collect(
  own: ErasingLog,
): Promise<{ readonly kept: Needles; readonly gone: Needles }> {
  const [id = ""] = await own.vault.keysOf(target);
  const [stored] = await own.vault.store.byIds([id]);
  if (stored === undefined) throw new Error("ann has no key");
  const dek = await own.vault.ring.open(stored);
  const page = await own.store.audit.scan({
    ...{ filter: { event: "call.outcome" }, limit: 1_000, order: "ascending" },
  });
  const rows = await createOpener(own.vault).open(page.rows, "randoms");
  const ofAnn = rows.filter((one) => one.values.principal === principal);
  const parts = page.rows.filter((row) => row.details?.includes(`"subject":"${id}"`));
  const randoms = ofAnn.flatMap((one) => formsOf(one.random ?? new Uint8Array()));
  expect([ofAnn.length, parts.length]).toEqual([30, 30]);
  const kept = {
    wrapped: [Buffer.from(stored.wrapped ?? ""), Buffer.from(stored.wrapped ?? "", "base64")],
    owner: [Buffer.from(stored.owner ?? "")],
    tokens: [Buffer.from(parts[0]?.principal ?? "")],
    sealed: parts.map((row) => Buffer.from(JSON.parse(row.details ?? "{}").sealed)),
    salts: parts.map((row) => Buffer.from(JSON.parse(row.details ?? "{}").salt)),
  };
  const gone = {
    dek: formsOf(dek),
    randoms,
    values: [Buffer.from(secretOf(principal)), Buffer.from(principal)],
  };
  return { kept, gone };
}

async function record(own: ErasingLog): Promise<void> {
  for (let time = 0; time < 30; time += 1) {
    await Promise.all([own.call(principal), own.call("client:bob")]);
  }
  await own.shipped();
}

async function erase(own: ErasingLog): Promise<void> {
  await own.work.erasure.destroy({ ...request, isUrgent: true });
  await until("swept", () => own.work.erasure.pending() === 0, 30_000);
  await own.shipped();
}

test("K-12 PV-02 in the spool, the database, the vault and their journals: nothing", async () => {
  await using folder = temporaryFolder("erasure-bytes");
  let needles: Awaited<ReturnType<typeof collect>>;
  {
    await using own = await openErasingLog(folder.path);
    await record(own);
    needles = await collect(own);
    const { kept, gone } = needles;
    // What is searched for can be found, where it may be.
    const before = findOnDisk(folder.path, kept).map((hit) => hit.replace(/: .*/, ""));
    expect(new Set(before)).toEqual(new Set(Object.keys(kept)));
    expect(findOnDisk(folder.path, gone)).toEqual([]);
    await erase(own);
    // Both databases are still open: their journals were emptied all the same.
    expect(findOnDisk(folder.path, kept)).toEqual([]);
  }
  expect(findOnDisk(folder.path, { ...needles.kept, ...needles.gone })).toEqual([]);
});

test("K-12 PV-01 in PostgreSQL's whole folder, after it was away while the key was destroyed", async () => {
  await using folder = temporaryFolder("erasure-bytes");
  await using postgres = await startPostgres();
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  const { rows } = await client.query("show data_directory");
  await client.end();
  const pgdata = String(rows[0].data_directory);
  await using own = await openErasingLog(folder.path, { databaseUrl: postgres.url });
  await record(own);
  const { kept, gone } = await collect(own);
  const base = join(pgdata, "base");
  const inTables = {
    tokens: kept.tokens ?? [],
    sealed: kept.sealed ?? [],
    salts: kept.salts ?? [],
  };
  await run(postgres.url, "checkpoint");
  expect(new Set(findOnDisk(base, inTables).map((hit) => hit.replace(/: .*/, "")))).toEqual(
    new Set(Object.keys(inTables)),
  );
  await postgres.stop();
  // The records' database is away: the key is destroyed all the same, and the rest waits.
  const away = await own.work.erasure.destroy({ ...request, isUrgent: true });
  expect(away.keys).toBe(1);
  await own.work.erasure.run();
  expect(own.work.erasure.pending()).toBe(1);
  await postgres.restart();
  await until(
    "swept",
    async () => {
      await own.work.erasure.run();
      return own.work.erasure.pending() === 0;
    },
    60_000,
  );
  await own.shipped();
  expect(new Set((await own.readable()).values())).toEqual(new Set(["client:bob"]));
  await run(postgres.url, "vacuum full", "checkpoint");
  expect(findOnDisk(base, inTables)).toEqual([]);
  // Values, keys and randoms were never there, in no table and in no journal.
  expect(findOnDisk(pgdata, gone)).toEqual([]);
  expect(findOnDisk(folder.path, { ...kept, ...gone })).toEqual([]);
});

async function run(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}
