/**
 * A person who stands under as many tokens as a vault may have index keys, and records under each: whatever takes a list of
 * tokens answers on both databases, in statements whose size and reading are counted.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type CompiledQuery, sql } from "kysely";
import { scan } from "../../src/storage/audit-search.ts";
import { summarize } from "../../src/storage/audit-summary.ts";
import type { SqlDialect } from "../../src/storage/dialect.ts";
import { defaultSqlStoreLimits as limits } from "../../src/storage/sql-part.ts";
import type { AuditFilter, AuditStore } from "../../src/storage/store.ts";
import { auditRow } from "../support/audit-row.ts";
import {
  type BothDatabases,
  databaseKinds,
  startBothDatabases,
} from "../support/both-databases.ts";
import { planOf, touched } from "../support/query-plans.ts";
import { sealedPart } from "../support/sealed-spool.ts";
import { spyOn } from "../support/spied-statements.ts";

setDefaultTimeout(120_000);

const keys = 10_000;
const tokensOf = (person: string) =>
  Array.from({ length: keys }, (_, key) => `${person}-under-key-${key}`);
const ann = tokensOf("ann");
const all = { principal: ann, client: ann, session: ann };
const key = "a".repeat(16);
const startMs = Date.UTC(2026, 8, 1);
/** All of it lies in one month. */
const stepMs = 60_000;
const timeOf = (index: number) => startMs + index * stepMs;
/** A record of Ann's under each key, and one of somebody else after each. */
const made = ann.flatMap((token, index) => {
  const common = { timeMs: timeOf(index), status: "success", server: "calc", tool: "add" };
  const own = { principal: token, client: token, session: token, details: sealedPart(key, "x") };
  return [
    auditRow(2 * index + 1, { ...common, ...own }),
    auditRow(2 * index + 2, { ...common, principal: "bob", client: "bob", session: "bob" }),
  ];
});
const annSeq = (index: number) => 2 * index + 1;
/** The latest time, in which Ann has few records and there are as many of others. */
const lastMs = timeOf(keys);
const few = 5;
const many = 5_000;
const late = Array.from({ length: few + many }, (_, at) =>
  auditRow(2 * keys + at + 1, {
    timeMs: lastMs + at,
    principal: at < few ? (ann[at] ?? null) : "bob",
    status: "success",
    server: "calc",
    tool: "add",
  }),
);

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
let databases: BothDatabases;
beforeAll(async () => {
  databases = stack.use(await startBothDatabases("audit-many-tokens"));
});

describe.each(databaseKinds)("%s", (kind) => {
  let audit: AuditStore;
  let dialect: SqlDialect;
  beforeAll(async () => {
    const store = await databases.openStore(kind);
    stack.defer(() => store.close());
    audit = store.audit;
    await audit.append([...made, ...late]);
    dialect = databases.openDialect(kind);
    stack.defer(() => dialect.close());
  });

  test("K-18 pages and counts of all tokens at once", async () => {
    const early = { ...all, untilMs: lastMs };
    const newest = Array.from({ length: 100 }, (_, at) => annSeq(keys - 1 - at));
    for (const by of ["place", "time"] as const) {
      const query = { filter: early, limit: newest.length, order: "descending", by } as const;
      const page = await audit.scan(query);
      expect(page.rows.map(({ seq }) => seq)).toEqual(newest);
      const next = await audit.scan({ ...query, limit: 1, ...{ after: page.next } });
      expect(next.rows.map(({ seq }) => seq)).toEqual([annSeq(keys - 1 - newest.length)]);
    }
    const asked = { filter: early, by: ["status"], groupsMax: 9 } as const;
    const counted = await audit.summarize({ ...asked, rowsMax: keys });
    const whole = { status: "success", records: keys, firstTimeMs: timeOf(0) };
    expect(counted).toMatchObject({ groups: [whole], isComplete: true });
  });

  test("K-18 retention rules for more clients than a statement has parameters for", async () => {
    const { client } = all;
    const spared = Array.from({ length: 8 }, (_, rule) => ({ client: tokensOf(`spared-${rule}`) }));
    const others = { filter: { untilMs: lastMs }, exclude: [...spared, { client }] };
    expect(await audit.countPrunable(others)).toBe(keys);
    const found = await audit.prunable({ ...others, limit: 3 });
    expect(found.map(({ seq }) => seq)).toEqual([2, 4, 6]);
    expect(await audit.countPrunable({ filter: { client }, exclude: spared })).toBe(keys);
  });

  test("PV-14 many people's sealed rows in one question", async () => {
    const principals = Array.from({ length: 29 }, (_, person) => tokensOf(`person-${person}`));
    const query = {
      of: "subject",
      keys: [key],
      principals: [...principals.flat(), ...ann],
    } as const;
    const found = await audit.sealed({ ...query, limit: 3 });
    expect(found.map(({ seq }) => seq)).toEqual([1, 3, 5]);
    expect(await audit.countSealed(query)).toBe(keys);
  });

  const statementsOf = async (ask: (spied: SqlDialect) => Promise<unknown>) => {
    const statements: CompiledQuery[] = [];
    const db = spyOn(dialect.db, async (statement) => {
      statements.push(statement);
    });
    await ask({ ...dialect, db });
    return statements;
  };
  // There is no index for this status: so many rows are held against it.
  const succeeded: AuditFilter = { principal: ann, status: "success" };

  test("no statement of a page joins more than a hundred values, and all of them as many as a page has", async () => {
    const query = { filter: succeeded, limit: 1_000, order: "ascending", by: "time" } as const;
    const statements = await statementsOf((spied) => scan(spied, query, limits));
    const parts = statements.map(({ sql }) => sql.split(" union all ").length);
    // The last and the one after it are asked twice: for what is found, and where the next page begins.
    expect(Math.max(...parts)).toBeLessThanOrEqual(2 * 100 + 1);
    const sum = parts.reduce((some, count) => some + count, 0);
    expect(sum).toBeLessThanOrEqual(2 * limits.examinedRowsMax);
    const page = await scan(dialect, query, limits);
    expect(page.rows.map(({ seq }) => seq)).toEqual(
      Array.from({ length: query.limit }, (_, at) => annSeq(at)),
    );
  });

  const recent: AuditFilter = { principal: ann, tool: "add", fromMs: lastMs };
  const latest = { limit: 2, order: "descending", by: "time" } as const;
  const summary = { by: ["status"], rowsMax: 200_000, groupsMax: 9 } as const;

  test("what counts rows asks for those tokens alone that have some in the time", async () => {
    const statements = await statementsOf(async (spied) => {
      await scan(spied, { ...latest, filter: recent }, limits);
      await summarize(spied.db, { ...summary, filter: recent });
    });
    const counting = statements.filter(({ sql }) => sql.includes("count(*)"));
    const tokens = counting.map(
      ({ parameters }) => JSON.stringify(parameters).split("ann-").length - 1,
    );
    // The part of the page by principal and that by tool; the summary.
    expect(tokens).toEqual([few, 0, few]);
  });

  test.if(kind === "postgres")("a summary touches the rows it counts", async () => {
    await sql`analyze audit_records`.execute(dialect.db);
    const asked = { ...summary, filter: recent };
    for (const statement of await statementsOf(({ db }) => summarize(db, asked))) {
      const rows = touched(await planOf(dialect.db, statement));
      expect(rows, statement.sql.slice(-200)).toBeLessThanOrEqual(few);
    }
  });
});
