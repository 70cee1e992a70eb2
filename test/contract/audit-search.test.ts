/**
 * Searching the audit copy (issue 5, item 7): whatever is asked, a page is read off an index and few rows are looked at,
 * on both databases; pages hold together while rows come and go. At ten million rows: `test/bench/audit-query.ts`.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { CompiledQuery } from "kysely";
import { scan } from "../../src/storage/audit-search.ts";
import type { SqlDialect } from "../../src/storage/dialect.ts";
import { defaultSqlStoreLimits } from "../../src/storage/sql-part.ts";
import type { AuditFilter, AuditPlace, AuditScan, Store } from "../../src/storage/store.ts";
import { auditRow as row } from "../support/audit-row.ts";
import {
  type BothDatabases,
  type DatabaseKind,
  databaseKinds,
  startBothDatabases,
} from "../support/both-databases.ts";
import { fillPostgres, fillSqlite, filtersToAsk } from "../support/many-records.ts";
import { explain, planOf, touched } from "../support/query-plans.ts";
import { spyOn } from "../support/spied-statements.ts";

setDefaultTimeout(120_000);

const rows = 30_000;
const untilMs = Date.UTC(2026, 10, 15);
const limits = { ...defaultSqlStoreLimits, examinedRowsMax: 500 };
const filters = Object.entries(filtersToAsk(untilMs)) as readonly (readonly [
  string,
  AuditFilter,
])[];
/** A page's candidates, or what is counted of one value, and one row more of each month. */
const touchedMax = 1_000 + 100;

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
let databases: BothDatabases;
beforeAll(async () => {
  databases = stack.use(await startBothDatabases("audit-search"));
});

async function openFilled(kind: DatabaseKind): Promise<SqlDialect> {
  await (await databases.openStore(kind)).close();
  if (kind === "sqlite") fillSqlite(databases.dataDir, rows, untilMs);
  else await fillPostgres(databases.postgresUrl, rows, untilMs);
  return databases.openDialect(kind);
}

/** The statements of one search by time, as they go to the database. */
async function statementsOf(
  dialect: SqlDialect,
  query: AuditScan,
): Promise<readonly CompiledQuery[]> {
  const { db } = dialect;
  const statements: CompiledQuery[] = [];
  const spied = spyOn(db, async (statement) => {
    statements.push(statement);
  });
  await scan({ ...dialect, db: spied }, query, limits);
  return statements.filter(({ sql }) => sql.includes("audit_records"));
}

describe("postgres", () => {
  let dialect: SqlDialect;
  beforeAll(async () => {
    dialect = await openFilled("postgres");
    stack.defer(() => dialect.close());
  });

  test.each(filters)("no search touches more than its bound: %s", async (_name, filter) => {
    for (const order of ["descending", "ascending"] as const) {
      const query = { filter, limit: 100, order, by: "time" } as const;
      for (const statement of await statementsOf(dialect, query)) {
        expect(touched(await planOf(dialect.db, statement)), statement.sql).toBeLessThanOrEqual(
          touchedMax,
        );
      }
    }
  });
});

describe("sqlite", () => {
  let dialect: SqlDialect;
  beforeAll(async () => {
    dialect = await openFilled("sqlite");
  });
  // What the pages below overwrite waits for every other reader of the file, for as long as the deadline allows.
  afterAll(() => dialect.close());

  test.each(filters)(
    "every search is read off an index, in its order: %s",
    async (_name, filter) => {
      for (const order of ["descending", "ascending"] as const) {
        const query = { filter, limit: 100, order, by: "time" } as const;
        for (const statement of await statementsOf(dialect, query)) {
          const steps = await explain(dialect.db, "explain query plan", statement);
          const reads = steps
            .map(({ detail }) => String(detail))
            .filter((one) => /audit_records/.test(one));
          expect(reads.length, statement.sql).toBeGreaterThan(0);
          for (const read of reads.filter(
            (one) => !/^(SCAN|SEARCH) \(?subquery|^CO-ROUTINE|^SCAN audit_records$/.test(one),
          )) {
            expect(read, statement.sql).toMatch(/USING (COVERING )?INDEX audit_records_by_/);
          }
          // A subquery goes by the table's name: the table itself must be read by an index, exactly where it is read.
          const plain = reads.filter((one) => one === "SCAN audit_records").length;
          const made = steps.filter(({ detail }) =>
            /^(CO-ROUTINE|MATERIALIZE) audit_records$/.test(String(detail)),
          );
          expect(plain, statement.sql).toBe(made.length);
        }
      }
    },
  );
});

describe.each(databaseKinds)("pages on %s", (kind) => {
  let store: Store;
  let found: readonly number[];
  beforeAll(async () => {
    store = await databases.openStore(kind);
    stack.defer(() => store.close());
    found = Array.from({ length: rows }, (_, at) => rows - at);
  });

  async function* pages(filter: AuditFilter, between: () => Promise<void> = async () => {}) {
    let after: AuditPlace | undefined;
    do {
      const page = await store.audit.scan({
        filter,
        limit: 1000,
        order: "descending",
        by: "time",
        ...(after === undefined ? {} : { after }),
      });
      yield page.rows.map(({ seq }) => seq);
      after = page.next;
      await between();
    } while (after !== undefined);
  }

  async function all(filter: AuditFilter, between?: () => Promise<void>) {
    const seqs: number[] = [];
    for await (const page of pages(filter, between)) seqs.push(...page);
    return seqs;
  }

  test("a search that stops and goes on finds every row once, as one without bounds would", async () => {
    const even = found.filter((n) => n % 3 > 0 && n % 200 === 7 && n % 20 === 3);
    const { "common and common": both } = filtersToAsk(untilMs);
    expect(await all(both)).toEqual(even);
    const denied = found.filter((n) => n % 20 === 3 && n % 4 === 0);
    expect(await all({ status: "denied", dataClass: "CONFIDENTIAL" })).toEqual(denied);
    const outcomes = found.filter((n) => n % 2 === 1 && n % 100_000 !== 5 && n % 20 === 3);
    expect(await all({ event: "call.outcome", status: "denied" })).toEqual(outcomes);
  });

  test("K-18 a person is found under more tokens than one statement can join", async () => {
    const others = Array.from({ length: 600 }, (_, at) => `of-key-${at}`);
    const filter = { principal: ["principal-0", ...others, "principal-7"] };
    const page = await store.audit.scan({ filter, limit: 1000, order: "descending", by: "time" });
    const wanted = found.filter((n) => n % 3 > 0 || n % 997 === 0 || n % 997 === 7);
    expect(page.rows.map(({ seq }) => seq)).toEqual(wanted.slice(0, 1000));
  });

  test("pages hold together while rows come and are pruned", async () => {
    let seq = rows;
    const gone = 4_000;
    const seen = await all({ client: "client-7" }, async () => {
      seq += 1;
      await store.audit.append([
        row(seq, { logId: "made", client: "client-7", timeMs: untilMs + seq }),
      ]);
      await store.audit.prune([{ logId: "made", seq: gone + 7 }]);
    });
    const wanted = found.filter((n) => n % 50 === 7);
    expect(seen.filter((n) => n !== gone + 7)).toEqual(wanted.filter((n) => n !== gone + 7));
    expect(new Set(seen).size).toBe(seen.length);
    const first = await store.audit.scan({
      filter: { client: "client-7" },
      limit: 1,
      order: "descending",
      by: "time",
    });
    expect(first.rows[0]?.seq).toBe(seq);
  });

  test("D16: counts by columns, of the newest rows only where there are too many", async () => {
    const query = { filter: { status: "denied" }, by: ["status", "server"], groupsMax: 9 } as const;
    const whole = await store.audit.summarize({ ...query, rowsMax: rows });
    expect(whole).toMatchObject({
      isComplete: true,
      groups: [{ status: "denied", server: "server-3", records: rows / 20 }],
    });
    const most = 100;
    const newest = await store.audit.summarize({ ...query, rowsMax: most });
    const counted = { status: "denied", server: "server-3", records: most };
    expect(newest).toMatchObject({ isComplete: false, groups: [counted] });
    expect(await store.audit.summarize({ ...query, rowsMax: rows / 20 })).toEqual(whole);
  });
});
