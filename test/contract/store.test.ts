/**
 * What every Store promises, run on SQLite and on a real PostgreSQL; then what only PostgreSQL can do or suffer:
 * notices, a frozen server, a restart.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { schemaVersion } from "../../src/storage/migrations.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { createPostgresPool } from "../../src/storage/postgres-pool.ts";
import { type AuditFilter, type Store, StoreError } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { auditRow as row } from "../support/audit-row.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

// Starting servers takes a second or two on a quiet machine and more on a busy one.
setDefaultTimeout(60_000);

const deadlineMs = 30_000;
/** Where a test waits for the deadline; what it does before and after is done well within it. */
const lockedMs = 2_000;
const folders: string[] = [];
let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "mcp-gateway-store-"));
  folders.push(folder);
  return folder;
}

/** Opens stores on one new, empty database; each call is another process's view of it. */
interface Database {
  readonly location: { readonly databaseUrl?: string; readonly dataDir: string };
  open(options?: { readonly deadlineMs?: number; readonly migrate?: boolean }): Promise<Store>;
}

function newSqlite(): Promise<Database> {
  const dataDir = newFolder();
  return Promise.resolve({
    location: { dataDir },
    open: (options) =>
      openStore({ dataDir, log: silentLog, deadlineMs, migrate: true, ...options }),
  });
}

let databases = 0;
async function newPostgres(server: TestPostgres = postgres): Promise<Database> {
  databases += 1;
  const name = `store_${databases}`;
  await runOn(server.url, `create database ${name}`);
  const databaseUrl = server.url.replace(/\/postgres$/, `/${name}`);
  const location = { databaseUrl, dataDir: "/nonexistent" };
  const fixed = { ...location, log: silentLog, deadlineMs, migrate: true };
  return { location, open: (options) => openStore({ ...fixed, ...options }) };
}

async function runOn(url: string, text: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

async function seqsOf(store: Store, filter: AuditFilter, includePruned = false): Promise<number[]> {
  const order = "ascending";
  const { rows } = await store.audit.scan({ filter, limit: 100, order, includePruned });
  return rows.map(({ seq }) => seq);
}

async function rejection(work: Promise<unknown>): Promise<StoreError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof StoreError) return error;
  throw new Error(`expected a StoreError, got ${error}`);
}

/** Polls until true; the deadline only ends a test that fails. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const givenUp = AbortSignal.timeout(30_000);
  while (!(await holds())) {
    if (givenUp.aborted) throw new Error("it did not come true in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe.each([
  ["sqlite", newSqlite],
  ["postgres", newPostgres],
] as const)("store on %s", (kind, newDatabase) => {
  test("starts empty at revision 0 and says what it is", async () => {
    const store = await (await newDatabase()).open();
    expect(store.description.kind).toBe(kind);
    expect(store.description.location).not.toContain("tester");
    expect(await store.resources.load()).toEqual({ stateRevision: 0, resources: [] });
    expect(await store.audit.head("log-a")).toBeUndefined();
    await store.ping();
    await store.close();
  });

  test("resources: what is written is loaded, by another process too", async () => {
    const database = await newDatabase();
    const store = await database.open();
    const body = { text: "ünï \u0000 '\"$1", list: [1, null, true], deep: { empty: {} } };
    expect(await store.resources.write([{ kind: "client", name: "b", body }], 0, 10)).toBe(1);
    const changes = [
      { kind: "client", name: "b", body: { changed: true } },
      { kind: "client", name: "a", body },
    ];
    expect(await store.resources.write(changes, 1, 20)).toBe(2);
    const other = await database.open();
    expect(await other.resources.load()).toEqual({
      stateRevision: 2,
      resources: [
        { kind: "client", name: "a", body, createdAtMs: 20, updatedAtMs: 20, stateRevision: 2 },
        {
          kind: "client",
          name: "b",
          body: { changed: true },
          createdAtMs: 10,
          updatedAtMs: 20,
          stateRevision: 2,
        },
      ],
    });
    await Promise.all([store.close(), other.close()]);
  });

  test("resources: deletes, and of two changes to one object the last counts", async () => {
    const store = await (await newDatabase()).open();
    await store.resources.write([{ kind: "role", name: "x", body: 1 }], 0, 1);
    const changes = [
      { kind: "role", name: "x", delete: true },
      { kind: "role", name: "never-was", delete: true },
      { kind: "role", name: "y", body: 1 },
      { kind: "role", name: "y", body: 2 },
    ] as const;
    await store.resources.write(changes, 1, 2);
    const { resources } = await store.resources.load();
    expect(resources.map(({ name, body }) => [name, body])).toEqual([["y", 2]]);
    await store.close();
  });

  test("resources: one name in several tenants is several resources (AZ-17)", async () => {
    const store = await (await newDatabase()).open();
    const tenants = [undefined, "a", "A", "a:b", "a/b", "a\nb", '["a"]', "å", "%", "a "];
    const write = (tenant: string | undefined) => {
      return { kind: "role", tenant, name: "b", body: { tenant } };
    };
    await store.resources.write(tenants.map(write), 0, 1);
    await store.resources.write([{ kind: "role", tenant: "a", name: "b", delete: true }], 1, 2);
    const changed = { kind: "role", tenant: "a:b", name: "b", body: { changed: true } };
    await store.resources.write([changed], 2, 3);
    const { resources } = await store.resources.load();
    const left = tenants.filter((tenant) => tenant !== "a");
    expect(new Set(resources.map(({ tenant }) => tenant))).toEqual(new Set(left));
    expect(resources).toHaveLength(left.length);
    for (const { tenant, body, createdAtMs } of resources) {
      expect(body).toEqual(
        tenant === "a:b" ? { changed: true } : JSON.parse(JSON.stringify({ tenant })),
      );
      expect(createdAtMs).toBe(1);
    }
    await store.close();
  });

  test("resources: a stale revision is a conflict and changes nothing", async () => {
    const store = await (await newDatabase()).open();
    await store.resources.write([{ kind: "role", name: "kept", body: 1 }], 0, 1);
    for (const stale of [0, 2]) {
      const changes = [{ kind: "role", name: "kept", delete: true }] as const;
      const error = await rejection(store.resources.write(changes, stale, 2));
      expect(error.kind).toBe("conflict");
    }
    const { stateRevision, resources } = await store.resources.load();
    expect([stateRevision, resources.length]).toEqual([1, 1]);
    await store.close();
  });

  test("resources: of many writers at one revision exactly one wins", async () => {
    const database = await newDatabase();
    const stores = await Promise.all([database.open(), database.open()]);
    const write = (store: Store, name: string) =>
      store.resources.write([{ kind: "role", name, body: 1 }], 0, 1);
    const outcomes = await Promise.allSettled(
      ["a", "b", "c", "d"].map((name, index) => write(stores[index % 2]!, name)),
    );
    const kinds = outcomes.map((one) => (one.status === "fulfilled" ? "won" : one.reason.kind));
    expect(kinds.sort()).toEqual(["conflict", "conflict", "conflict", "won"]);
    expect((await stores[0].resources.load()).resources).toHaveLength(1);
    for (const store of stores) await store.close();
  });

  test("resources: all changes or none", async () => {
    const store = await (await newDatabase()).open();
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    const changes = [
      { kind: "role", name: "first", body: 1 },
      { kind: "role", name: "second", body: cyclic },
    ];
    await rejection(store.resources.write(changes, 0, 1));
    expect(await store.resources.load()).toEqual({ stateRevision: 0, resources: [] });
    expect(await store.resources.write([], 0, 1)).toBe(1);
    await store.close();
  });

  test("audit: rows come back as they went in, and large batches are cut up", async () => {
    const store = await (await newDatabase()).open();
    const full = row(0, {
      envelope: '{"b": 1,  "a":"\\u0000"}',
      details: "{}",
      principal: "user:https://i#s",
      client: "c",
      tool: "t",
      server: "s",
      scope: "all",
      method: "tools/call",
      status: "ok",
      decision: "allow",
      session: "id",
      correlationId: "x",
      dataClass: "personal",
      tenant: "a:b",
      timeMs: 1_764_000_000_123,
    });
    await store.audit.append([full, ...Array.from({ length: 1300 }, (_, index) => row(index + 1))]);
    const page = await store.audit.scan({ filter: {}, limit: 1, order: "ascending" });
    expect(page).toEqual({ rows: [full], next: { logId: "log-a", seq: 0, timeMs: full.timeMs } });
    expect(await store.audit.head("log-a")).toEqual({ seq: 1300, leaf: "leaf-1300" });
    await store.close();
  });

  test("audit: the same rows again are fine (ST-03)", async () => {
    const store = await (await newDatabase()).open();
    await store.audit.append([row(1), row(2)]);
    await store.audit.append([row(1), row(2), row(3)]);
    expect(await seqsOf(store, {})).toEqual([1, 2, 3]);
    await store.close();
  });

  test.each([
    ["stored before", [row(2, { leaf: "other" })]],
    ["in the same batch", [row(3), row(3, { leaf: "other" })]],
  ])("audit: a fork %s is corrupt and its batch is not kept (ST-03)", async (_name, fork) => {
    const store = await (await newDatabase()).open();
    await store.audit.append([row(1), row(2)]);
    const error = await rejection(store.audit.append([row(4), ...fork]));
    expect(error.kind).toBe("corrupt");
    expect(error.message).toContain("log-a");
    expect(await seqsOf(store, {})).toEqual([1, 2]);
    await store.close();
  });

  test("audit: pages follow log and seq, both ways, without gap or repetition", async () => {
    const store = await (await newDatabase()).open();
    const places = ["log-B", "log-a", "log-b"].flatMap((logId) =>
      [1, 2, 10].map((seq) => ({ logId, seq })),
    );
    await store.audit.append(places.toReversed().map(({ logId, seq }) => row(seq, { logId })));
    for (const order of ["ascending", "descending"] as const) {
      const found: unknown[] = [];
      let after: { readonly logId: string; readonly seq: number } | undefined;
      do {
        const page = await store.audit.scan({ filter: {}, limit: 2, order, after });
        found.push(...page.rows.map(({ logId, seq }) => ({ logId, seq })));
        after = page.next;
      } while (after !== undefined);
      expect(found).toEqual(order === "ascending" ? places : places.toReversed());
    }
    await store.close();
  });

  test("audit: logs stand in the order they came, and nothing follows one that never did", async () => {
    const store = await (await newDatabase()).open();
    for (const logId of ["log-z", "log-a"]) await store.audit.append([row(1, { logId })]);
    const query = { filter: {}, limit: 9, order: "ascending" } as const;
    const { rows } = await store.audit.scan(query);
    expect(rows.map((one) => one.logId)).toEqual(["log-z", "log-a"]);
    const after = { logId: "log-b", seq: 0 };
    expect(await store.audit.scan({ ...query, after })).toEqual({ rows: [], next: undefined });
    await store.close();
  });

  test("audit: each filter finds its own rows and no others", async () => {
    const store = await (await newDatabase()).open();
    const members = [
      "principal",
      "client",
      "tool",
      "server",
      "scope",
      "event",
      "status",
      "decision",
      "session",
      "correlationId",
      "dataClass",
      "tenant",
    ] as const;
    await store.audit.append([
      row(0),
      ...members.map((member, index) => row(index + 1, { [member]: "wanted" })),
    ]);
    for (const [index, member] of members.entries()) {
      expect(await seqsOf(store, { [member]: "wanted" })).toEqual([index + 1]);
    }
    // Too common for their index, and found all the same.
    await store.audit.append([row(20, { event: "call.intent" }), row(21, { status: "success" })]);
    expect(await seqsOf(store, { event: "call.intent" })).toEqual([20]);
    expect(await seqsOf(store, { status: "success" })).toEqual([21]);
    expect(await seqsOf(store, { tool: "wanted", client: "wanted" })).toEqual([]);
    expect(await seqsOf(store, { fromMs: 1_003, untilMs: 1_005 })).toEqual([3, 4]);
    await store.close();
  });

  test("audit: filter values are values, whatever they hold (AD-13)", async () => {
    const store = await (await newDatabase()).open();
    const hostile = [
      "'; drop table audit_records; --",
      "%",
      "_",
      "$1",
      "?",
      "\\",
      ".*",
      "a\u0000b",
      "\ud800",
      `${"long".repeat(2000)}a`,
      `${"long".repeat(2000)}b`,
    ];
    await store.audit.append([row(99), ...hostile.map((tool, seq) => row(seq, { tool }))]);
    for (const [seq, tool] of hostile.entries()) {
      expect(await seqsOf(store, { tool })).toEqual([seq]);
    }
    await store.close();
  });

  test("audit: pruning keeps the leaf and counts what was live", async () => {
    const store = await (await newDatabase()).open();
    await store.audit.append([1, 2, 3].map((seq) => row(seq, { client: "c", details: "{}" })));
    const places = [
      { logId: "log-a", seq: 1 },
      { logId: "log-a", seq: 3 },
      { logId: "log-z", seq: 1 },
    ];
    expect(await store.audit.prune(places)).toBe(2);
    expect(await store.audit.prune(places)).toBe(0);
    expect(await seqsOf(store, {})).toEqual([2]);
    expect(await seqsOf(store, { client: "c" }, true)).toEqual([2]);
    const whole = { filter: {}, limit: 9, order: "ascending", includePruned: true } as const;
    const { rows } = await store.audit.scan(whole);
    expect(rows[0]).toEqual(row(1, { envelope: null }));
    expect(rows.map(({ leaf }) => leaf)).toEqual(["leaf-1", "leaf-2", "leaf-3"]);
    await store.audit.append([row(1)]);
    expect(await seqsOf(store, {})).toEqual([2]);
    await store.close();
  });

  test("audit: rows between those that are named stay, also where one is named twice", async () => {
    const store = await (await newDatabase()).open();
    await store.audit.append([row(1), row(2), row(3)]);
    const places = [1, 1, 3].map((seq) => ({ logId: "log-a", seq }));
    expect(await store.audit.prune(places)).toBe(2);
    expect(await seqsOf(store, {})).toEqual([2]);
    await store.close();
  });

  test("audit: prunable spares what a rule excludes, and unset columns match no rule", async () => {
    const store = await (await newDatabase()).open();
    await store.audit.append([
      row(1, { timeMs: 50, client: "keep" }),
      row(2, { timeMs: 40, client: "drop", dataClass: "held" }),
      row(3, { timeMs: 30, client: "drop" }),
      row(4, { timeMs: 20 }),
      row(5, { timeMs: 99 }),
    ]);
    const query = {
      filter: { untilMs: 99 },
      exclude: [{ client: "keep" }, { client: "drop", dataClass: "held" }],
    };
    const found = await store.audit.prunable({ ...query, limit: 10 });
    expect(found[0]).toEqual({ logId: "log-a", seq: 4, leaf: "leaf-4", durability: "A" });
    expect(found.map(({ seq }) => seq)).toEqual([4, 3]);
    expect(await store.audit.prunable({ ...query, limit: 1 })).toHaveLength(1);
    expect(await store.audit.countPrunable(query)).toBe(2);
    expect(await store.audit.countPrunable({ filter: {}, exclude: [{}] })).toBe(0);
    await store.audit.prune(found);
    expect(await store.audit.countPrunable(query)).toBe(0);
    await store.close();
  });

  test("exclusively: one holder across processes, released after failure too", async () => {
    const database = await newDatabase();
    const [one, two] = await Promise.all([database.open(), database.open()]);
    const attempts = await one.exclusively("retention", async () => ({
      other: await two.exclusively("retention", async () => "ran"),
      again: await one.exclusively("retention", async () => "ran"),
      different: await two.exclusively("checkpoint", async () => "ran"),
    }));
    expect(attempts).toEqual({ other: undefined, again: undefined, different: "ran" });
    const own = new Error("the work's own failure");
    // Not `expect().rejects`: Bun waits for that without taking messages from threads.
    const failed = one.exclusively("retention", () => Promise.reject(own));
    expect(await failed.catch((error: unknown) => error)).toBe(own);
    await until(async () => (await two.exclusively("retention", async () => true)) === true);
    await Promise.all([one.close(), two.close()]);
  });

  test("exclusively: the lock of a killed process is free again", async () => {
    const database = await newDatabase();
    const store = await database.open();
    const options = { ...database.location, deadlineMs, migrate: false };
    const source = `
      import { openStore } from ${JSON.stringify(join(import.meta.dir, "../../src/storage/open-store.ts"))};
      import { silentLog } from ${JSON.stringify(join(import.meta.dir, "../../src/telemetry/log.ts"))};
      const store = await openStore({ ...${JSON.stringify(options)}, log: silentLog });
      await store.exclusively("retention", () => {
        process.stdout.write("held");
        return new Promise(() => {});
      });`;
    const holder = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe" });
    const { value } = await holder.stdout.getReader().read();
    expect(new TextDecoder().decode(value)).toBe("held");
    expect(await store.exclusively("retention", async () => true)).toBeUndefined();
    holder.kill("SIGKILL");
    await holder.exited;
    await until(async () => (await store.exclusively("retention", async () => true)) === true);
    await store.close();
  });

  test("many operations at once all end well", async () => {
    const store = await (await newDatabase()).open();
    await Promise.all([
      ...Array.from({ length: 20 }, (_, seq) => store.audit.append([row(seq)])),
      ...Array.from({ length: 20 }, () => store.resources.load()),
      ...Array.from({ length: 20 }, () => store.audit.head("log-a")),
    ]);
    expect(await seqsOf(store, {})).toHaveLength(20);
    await store.close();
  });

  test("a closed store rejects", async () => {
    const store = await (await newDatabase()).open();
    await store.close();
    expect((await rejection(store.ping())).kind).toBe("unavailable");
  });

  test("A02: times of last use: the latest stays, whoever writes it, and what is gone can be forgotten", async () => {
    const database = await newDatabase();
    const [one, other] = [await database.open(), await database.open()];
    const uses = (usedAtMs: number) => ["token:a", "token:b"].map((name) => ({ name, usedAtMs }));
    await one.uses.note(uses(2_000));
    await other.uses.note([{ name: "token:a", usedAtMs: 1_000 }, ...uses(3_000).slice(1)]);
    const found = await one.uses.read(["token:a", "token:b", "token:c"]);
    expect([...found].sort((a, b) => a.usedAtMs - b.usedAtMs)).toEqual([
      { name: "token:a", usedAtMs: 2_000 },
      { name: "token:b", usedAtMs: 3_000 },
    ]);
    expect(await one.uses.read([])).toEqual([]);
    expect(await one.uses.unused(3_000, 10, "")).toEqual(["token:a"]);
    expect(await one.uses.unused(3_000, 10, "token:a")).toEqual([]);
    await one.uses.forget(["token:a"]);
    expect(await other.uses.read(["token:a"])).toEqual([]);
    await one.close();
    await other.close();
  });

  test("migrations: many processes at once, and a check without them (CF-07)", async () => {
    const database = await newDatabase();
    const early = await rejection(database.open({ migrate: false }));
    expect(early.kind).toBe("conflict");
    expect(early.message).toContain("mcp-gateway migrate");
    const stores = await Promise.all(Array.from({ length: 8 }, () => database.open()));
    stores.push(await database.open({ migrate: false }));
    for (const store of stores) await store.close();
  });
});

describe("store on sqlite alone", () => {
  test("the file is its owner's only", async () => {
    const dataDir = newFolder();
    const store = await openStore({ dataDir, log: silentLog, deadlineMs, migrate: true });
    await store.audit.append([row(1)]);
    await store.exclusively("retention", async () => {});
    for (const name of ["gateway.sqlite", "gateway.sqlite-wal", "lock-retention.sqlite"]) {
      expect(statSync(join(dataDir, name)).mode & 0o777).toBe(0o600);
    }
    await store.close();
  });

  test("what was pruned is gone from the file", async () => {
    const dataDir = newFolder();
    const store = await openStore({ dataDir, log: silentLog, deadlineMs, migrate: true });
    const canary = "canary-7f3a91";
    await store.audit.append([row(1, { client: canary, details: `{"name":"${canary}"}` })]);
    await store.audit.append(Array.from({ length: 300 }, (_, index) => row(index + 2)));
    await store.audit.prune([{ logId: "log-a", seq: 1 }]);
    await store.close();
    expect(readdirSync(dataDir)).toEqual(["gateway.sqlite"]);
    expect(readFileSync(join(dataDir, "gateway.sqlite"), "latin1")).not.toContain(canary);
  });

  test("a file that is no database is corrupt, and not overwritten", async () => {
    const dataDir = newFolder();
    const path = join(dataDir, "gateway.sqlite");
    writeFileSync(path, "not a database ".repeat(1000));
    const error = await rejection(
      openStore({ dataDir, log: silentLog, deadlineMs, migrate: true, waitMs: 60_000 }),
    );
    expect(error.kind).toBe("corrupt");
    expect(statSync(path).size).toBe(15_000);
  });

  test("a newer schema is refused with both versions named (CF-07)", async () => {
    const dataDir = newFolder();
    const options = { dataDir, log: silentLog, deadlineMs };
    await (await openStore({ ...options, migrate: true })).close();
    const { Database: Sqlite } = await import("bun:sqlite");
    const direct = new Sqlite(join(dataDir, "gateway.sqlite"));
    direct.run("insert into schema_migrations values (99, 'from the future')");
    direct.close();
    for (const migrate of [true, false]) {
      const error = await rejection(openStore({ ...options, migrate }));
      expect(error.kind).toBe("conflict");
      expect(error.message).toContain(`schema version 99, newer than the ${schemaVersion}`);
    }
  });

  test.each(["abort", "fail", "rollback"])(
    "an append that fails halfway leaves nothing and says why: %s",
    async (how) => {
      const dataDir = newFolder();
      const store = await openStore({ dataDir, log: silentLog, deadlineMs, migrate: true });
      const { Database: Sqlite } = await import("bun:sqlite");
      using direct = new Sqlite(join(dataDir, "gateway.sqlite"));
      // A full disk ends the transaction by itself, as "rollback" does here.
      direct.run(`create trigger no_room before insert on audit_records when new.seq = 90
      begin select raise(${how}, 'no room'); end`);
      const rows = Array.from({ length: 100 }, (_, index) => row(index + 1));
      const error = await rejection(store.audit.append(rows));
      expect(error).toMatchObject({
        kind: "unavailable",
        message: expect.stringMatching("no room"),
      });
      expect(await store.audit.head("log-a")).toBeUndefined();
      direct.run("drop trigger no_room");
      await store.audit.append(rows);
      expect(await store.audit.head("log-a")).toEqual({ seq: 100, leaf: "leaf-100" });
      await store.close();
    },
  );

  test("a file locked by another process is unavailable by the deadline, then works", async () => {
    const dataDir = newFolder();
    const store = await openStore({ dataDir, log: silentLog, deadlineMs: lockedMs, migrate: true });
    const { Database: Sqlite } = await import("bun:sqlite");
    const holder = new Sqlite(join(dataDir, "gateway.sqlite"));
    holder.run("begin immediate");
    expect((await rejection(store.audit.append([row(1)]))).kind).toBe("unavailable");
    holder.run("rollback");
    holder.close();
    await store.audit.append([row(1)]);
    expect(await seqsOf(store, {})).toEqual([1]);
    await store.close();
  });
});

describe("store on postgres alone", () => {
  test("watch tells of other processes' writes and not of one's own", async () => {
    const database = await newPostgres();
    const [one, two] = await Promise.all([database.open(), database.open()]);
    await Promise.all([one.resources.load(), two.resources.load()]);
    const heard: { readonly one: number[]; readonly two: number[] } = { one: [], two: [] };
    const stops = [
      one.resources.watch((revision) => heard.one.push(revision)),
      two.resources.watch((revision) => heard.two.push(revision)),
    ];
    await one.resources.write([], 0, 1);
    await until(() => heard.two.includes(1));
    await two.resources.load();
    await two.resources.write([], 1, 1);
    await until(() => heard.one.includes(2));
    expect(heard.one).not.toContain(1);
    expect(heard.two).not.toContain(2);
    for (const stop of stops) stop();
    await Promise.all([one.close(), two.close()]);
  });

  test("a newer schema is refused (CF-07)", async () => {
    const database = await newPostgres();
    await (await database.open()).close();
    await runOn(
      database.location.databaseUrl!,
      "insert into schema_migrations values (99, 'from the future')",
    );
    const error = await rejection(database.open());
    expect(error.message).toContain(`schema version 99, newer than the ${schemaVersion}`);
  });

  test("an unreachable server rejects; a bad URL does not repeat its password", async () => {
    const fixed = { dataDir: "/nonexistent", log: silentLog, deadlineMs, migrate: true };
    const refused = await rejection(
      openStore({ ...fixed, databaseUrl: "postgres://u:p@127.0.0.1:1/db", waitMs: 1 }),
    );
    expect(refused.kind).toBe("unavailable");
    const invalid = await rejection(openStore({ ...fixed, databaseUrl: "u:secret-word@host" }));
    expect(invalid.message).not.toContain("secret-word");
  });

  test("a frozen server ends every operation by the deadline, and recovers (ST-02)", async () => {
    await using server = await startPostgres();
    const database = await newPostgres(server);
    const store = await database.open({ deadlineMs: lockedMs });
    await store.audit.append([row(1)]);
    server.pause();
    const outcomes = await Promise.all([
      rejection(store.ping()),
      rejection(store.audit.append([row(2)])),
      rejection(store.resources.write([], 0, 1)),
      rejection(store.exclusively("retention", async () => {})),
      // More than there are connections: waiting for one ends as well.
      ...Array.from({ length: 20 }, () => rejection(store.audit.head("log-a"))),
    ]);
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(["unavailable"]));
    server.resume();
    await until(() =>
      store.ping().then(
        () => true,
        () => false,
      ),
    );
    await store.audit.append([row(1), row(2)]);
    expect(await seqsOf(store, {})).toEqual([1, 2]);
    await store.close();
  });

  test("a restart fails what runs, then batches can be sent again and notices return (ST-03)", async () => {
    await using server = await startPostgres();
    const database = await newPostgres(server);
    const [store, other] = await Promise.all([database.open(), database.open()]);
    const heard: number[] = [];
    const stop = other.resources.watch((revision) => heard.push(revision));
    await store.resources.write([], 0, 1);
    await until(() => heard.includes(1));
    await store.audit.append([row(1)]);
    await server.stop();
    expect((await rejection(store.audit.append([row(1), row(2)]))).kind).toBe("unavailable");
    expect((await rejection(store.ping())).kind).toBe("unavailable");
    const { databaseUrl, dataDir } = database.location;
    const log = silentLog;
    const opening = openStore({
      databaseUrl,
      dataDir,
      log,
      deadlineMs,
      migrate: true,
      waitMs: 60_000,
    });
    await server.restart();
    await (await opening).close();
    await until(() =>
      store.audit.append([row(1), row(2)]).then(
        () => true,
        () => false,
      ),
    );
    expect(await seqsOf(store, {})).toEqual([1, 2]);
    await store.resources.write([], 1, 1);
    await until(() => heard.includes(2));
    stop();
    await Promise.all([store.close(), other.close()]);
  });

  test("a table locked by someone else is unavailable by the deadline (ST-05)", async () => {
    const database = await newPostgres();
    const store = await database.open({ deadlineMs: lockedMs });
    const holder = new Client({ connectionString: database.location.databaseUrl });
    await holder.connect();
    await holder.query("begin; lock table audit_records in access exclusive mode");
    expect((await rejection(store.audit.append([row(1)]))).kind).toBe("unavailable");
    await holder.query("rollback");
    await holder.end();
    await store.audit.append([row(1)]);
    await store.close();
  });

  test("commits are synchronous even where the role's default is not (ST-04)", async () => {
    await using server = await startPostgres();
    await runOn(server.url, "alter role tester set synchronous_commit = off");
    const options = { url: server.url, deadlineMs, connectionsMax: 1, log: silentLog };
    const pool = createPostgresPool(options);
    const connection = await pool.connect();
    const { rows } = await connection.query("show synchronous_commit", []);
    expect(rows).toEqual([{ synchronous_commit: "on" }]);
    connection.release();
    await pool.end();
  });

  test("ST-04: a server that forgets is warned of once, and refused where it must not be", async () => {
    await using server = await startPostgres({ fsync: "off", full_page_writes: "off" });
    const said: unknown[] = [];
    const log = {
      ...silentLog,
      warn: (event: string, facts?: object) => said.push([event, facts]),
    };
    const options = { databaseUrl: server.url, dataDir: "/nonexistent", log, deadlineMs };
    const store = await openStore({ ...options, migrate: true });
    await Promise.all(Array.from({ length: 4 }, () => store.ping()));
    await store.close();
    const { host, pathname } = new URL(server.url);
    const facts = { database: host + pathname, settings: "fsync, full_page_writes", wanted: "on" };
    const warned = ["storage.not_durable", facts];
    expect(said).toContainEqual(warned);
    const error = await rejection(openStore({ ...options, migrate: false, mustBeDurable: true }));
    expect(error.kind).toBe("conflict");
    expect(error.message).toContain("undurable-database");
    expect(error.message).toContain("fsync and full_page_writes");
  });

  test("ST-04: rows are appended with a synchronous commit, whatever the database's default", async () => {
    const database = await newPostgres();
    const store = await database.open();
    const url = database.location.databaseUrl!;
    await runOn(url, `create table told (how text)`);
    await runOn(
      url,
      `create function tell() returns trigger language plpgsql as $$ begin
      insert into told values (current_setting('synchronous_commit')); return new; end $$`,
    );
    await runOn(
      url,
      `create trigger tells after insert on audit_records for each row execute function tell()`,
    );
    // As a pooler does that hands out another connection.
    const name = new URL(url).pathname.slice(1);
    await runOn(postgres.url, `alter database ${name} set synchronous_commit = off`);
    await store.audit.append([row(1)]);
    const client = new Client({ connectionString: url });
    await client.connect();
    expect((await client.query("select how from told")).rows).toEqual([{ how: "on" }]);
    await client.end();
    await store.close();
  });

  test("tables away and back again: unavailable meanwhile, no restart needed (ST-05)", async () => {
    const database = await newPostgres();
    const store = await database.open();
    const url = database.location.databaseUrl!;
    await runOn(url, "alter table audit_records rename to hidden");
    expect((await rejection(store.audit.append([row(1)]))).kind).toBe("unavailable");
    await runOn(url, "alter table hidden rename to audit_records");
    await store.audit.append([row(1)]);
    expect(await seqsOf(store, {})).toEqual([1]);
    await store.close();
  });

  test("read-only and writable again: connections made meanwhile are not kept (ST-05)", async () => {
    const database = await newPostgres();
    const name = new URL(database.location.databaseUrl!).pathname.slice(1);
    await (await database.open()).close();
    await runOn(postgres.url, `alter database ${name} set default_transaction_read_only = on`);
    const store = await database.open({ migrate: false });
    const refused = await rejection(store.audit.append([row(1)]));
    expect(refused.kind).toBe("unavailable");
    expect(refused.message).toContain("read-only transaction");
    await runOn(postgres.url, `alter database ${name} reset all`);
    await store.audit.append([row(1)]);
    expect(await seqsOf(store, {})).toEqual([1]);
    await store.close();
  });
});
