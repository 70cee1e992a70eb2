/**
 * Schema version 2 over a database of version 1 with data in it, on SQLite and on a real PostgreSQL (P17, CF-07).
 */
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { schemaVersion } from "../../src/storage/migrations.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { type Store, StoreError } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { resources, schemaVersion1 } from "../support/schema-v1.ts";

setDefaultTimeout(60_000);

let postgres: TestPostgres;
const folders: string[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

type Open = (options?: { readonly migrate: boolean }) => Promise<Store>;

async function oldSqlite(): Promise<Open> {
  const dataDir = mkdtempSync(join(tmpdir(), "mcp-gateway-v1-"));
  folders.push(dataDir);
  const direct = new Sqlite(join(dataDir, "gateway.sqlite"));
  for (const statement of schemaVersion1("sqlite")) direct.run(statement);
  direct.close();
  return ({ migrate } = { migrate: true }) =>
    openStore({ dataDir, log: silentLog, deadlineMs: 30_000, migrate });
}

let databases = 0;
async function oldPostgres(): Promise<Open> {
  databases += 1;
  const name = `old_${databases}`;
  await run(postgres.url, [`create database ${name}`]);
  const databaseUrl = postgres.url.replace(/\/postgres$/, `/${name}`);
  await run(databaseUrl, schemaVersion1("postgres"));
  const fixed = { databaseUrl, dataDir: "/nonexistent", log: silentLog, deadlineMs: 30_000 };
  return ({ migrate } = { migrate: true }) => openStore({ ...fixed, migrate });
}

async function run(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

describe.each([
  ["sqlite", oldSqlite],
  ["postgres", oldPostgres],
] as const)("schema version 2 over version 1 on %s", (_kind, makeOld) => {
  test("P17: every resource is still there, under the tenant that its body names", async () => {
    const store = await (await makeOld())();
    const { stateRevision, resources: found } = await store.resources.load();
    expect(stateRevision).toBe(7);
    const tenantOf: Readonly<Record<string, string>> = { guest: "a:b", stop: "acme" };
    expect(found).toEqual(
      resources.map(([kind, name, body], at) => ({
        kind,
        tenant: tenantOf[name],
        name,
        body,
        createdAtMs: at,
        updatedAtMs: at + 1,
        stateRevision: at + 2,
      })),
    );
    await store.close();
  });

  test("P17: a tenant's resource can then be written beside the one of the same name", async () => {
    const store = await (await makeOld())();
    const analyst = { kind: "role", tenant: "acme", name: "analyst", body: { tenant: "acme" } };
    await store.resources.write([analyst], 7, 50);
    const { resources: found } = await store.resources.load();
    const roles = found.filter(({ name }) => name === "analyst").map(({ tenant }) => tenant);
    expect(roles).toEqual([undefined, "acme"]);
    await store.close();
  });

  test("P17: old records are found as before, and belong to no tenant", async () => {
    const store = await (await makeOld())();
    const [first] = (await store.audit.scan({ filter: {}, limit: 9, order: "ascending" })).rows;
    expect(first).toMatchObject({ seq: 1, client: "ci", tenant: null, leaf: "leaf-1" });
    const { leaf } = { ...first, leaf: "leaf-3" };
    await store.audit.append([{ ...first!, seq: 3, leaf, tenant: "acme" }]);
    const seqs = async (filter: object) => {
      const page = await store.audit.scan({ filter, limit: 9, order: "ascending" });
      return page.rows.map(({ seq }) => seq);
    };
    expect(await seqs({ client: "ci" })).toEqual([1, 2, 3]);
    expect(await seqs({ tenant: "acme" })).toEqual([3]);
    await store.close();
  });

  test("CF-07: it happens once, however many processes start, and never without being asked", async () => {
    const open = await makeOld();
    const refused = await open({ migrate: false }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StoreError);
    expect(String(refused)).toContain(`schema version 1 and this program needs ${schemaVersion}`);
    const stores = await Promise.all([open(), open(), open()]);
    stores.push(await open({ migrate: false }));
    for (const store of stores) {
      expect((await store.resources.load()).resources).toHaveLength(resources.length);
      await store.close();
    }
  });
});
