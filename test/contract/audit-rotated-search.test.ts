/**
 * Searching for a person whose records stand under one token for each index key there has been: pages are those of a plain
 * filter, whatever is asked, and cost what their own tokens cost and one look into the index for each of the others.
 */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Client } from "pg";
import { scan } from "../../src/storage/audit-search.ts";
import type { SqlDialect } from "../../src/storage/dialect.ts";
import { defaultSqlStoreLimits } from "../../src/storage/sql-part.ts";
import type { AuditPlace, AuditRow, AuditScan } from "../../src/storage/store.ts";
import { auditRow } from "../support/audit-row.ts";
import {
  type BothDatabases,
  type DatabaseKind,
  databaseKinds,
  startBothDatabases,
} from "../support/both-databases.ts";
import { createRandom, faultSeed } from "../support/random.ts";
import { spyOn } from "../support/spied-statements.ts";

setDefaultTimeout(120_000);

const random = createRandom();
const keys = 100;
const rowsOfKey = 50;
const startMs = Date.UTC(2026, 8, 20);
const stepMs = 10 * 60_000;
const tokens = Array.from({ length: keys }, (_, key) => `of-key-${key}`);
/** Of keys that the person never called under. */
const unused = Array.from({ length: 500 }, (_, key) => `of-another-key-${key}`);

/** Two nodes that change to a new key at different times; some records of one time, some of others, some pruned. */
const made: readonly AuditRow[] = Array.from({ length: keys * rowsOfKey }, (_, at) => {
  const lateness = random(8) === 0 ? random(3) : 0;
  const key = Math.max(0, Math.floor(at / rowsOfKey) - lateness);
  return auditRow(at + 1, {
    logId: random(2) === 0 ? "log-a" : "log-b",
    timeMs: startMs + Math.floor(at / (1 + random(2))) * stepMs,
    principal: random(9) === 0 ? "somebody-else" : (tokens[key] ?? null),
    status: random(4) === 0 ? "success" : "denied",
    ...(random(10) === 0 ? { envelope: null } : {}),
  });
});
const endMs = startMs + made.length * stepMs;
/** An index entry and its row: the first of each token in each month it has, and twice what is near the page. */
const readMax = 2 * (2 * keys + 2 * 4 * rowsOfKey);
const examinedRowsMax = 120;
const limits = { ...defaultSqlStoreLimits, examinedRowsMax };

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
let databases: BothDatabases;
beforeAll(async () => {
  databases = stack.use(await startBothDatabases("audit-rotated-search"));
});

/** What a page is by definition: the next rows in order, of so many candidates at most where more than a token is asked. */
function plainPage({ filter, limit, order, after }: AuditScan, rows: readonly AuditRow[]) {
  const sign = order === "ascending" ? 1 : -1;
  const compare = (a: AuditPlace, b: AuditPlace) =>
    sign *
    ((a.timeMs ?? 0) - (b.timeMs ?? 0) ||
      (a.logId < b.logId ? -1 : a.logId > b.logId ? 1 : 0) ||
      a.seq - b.seq);
  const candidates = rows
    .filter((row) => row.envelope !== null && filter.principal?.includes(row.principal ?? ""))
    .filter(({ timeMs }) => timeMs >= (filter.fromMs ?? 0) && timeMs < (filter.untilMs ?? endMs))
    .filter((row) => after === undefined || compare(row, after) > 0)
    .toSorted(compare);
  const isWhole = filter.status === undefined;
  const examined = Math.max(examinedRowsMax, limit + 1);
  const found = candidates
    .slice(0, isWhole ? limit + 1 : examined)
    .filter(({ status }) => isWhole || status === filter.status);
  const page = found.slice(0, limit);
  const last = found.length > limit ? page.at(-1) : isWhole ? undefined : candidates[examined - 1];
  return { page: page.map(toPlace), next: last && toPlace(last) };
}

function toPlace({ logId, seq, timeMs }: AuditPlace): AuditPlace {
  return { logId, seq, ...(timeMs === undefined ? {} : { timeMs }) };
}

function randomScan(): AuditScan {
  const fromMs = startMs + random(made.length) * stepMs;
  return {
    filter: {
      principal: [...(random(4) === 0 ? tokens.slice(random(keys)) : tokens), ...unused],
      ...(random(2) === 0 ? { fromMs } : {}),
      ...(random(2) === 0 ? { untilMs: fromMs + random(1_000) * stepMs } : {}),
      // There is no index for it.
      ...(random(2) === 0 ? { status: "success" } : {}),
    },
    limit: 1 + random(random(2) === 0 ? 20 : 200),
    order: random(2) === 0 ? "ascending" : "descending",
    by: "time",
  };
}

// In this order: the last test empties rows.
describe.each(databaseKinds)("%s", (kind) => {
  let dialect: SqlDialect;
  beforeAll(async () => {
    const store = await databases.openStore(kind);
    await store.audit.append(made);
    await store.close();
    dialect = databases.openDialect(kind);
    stack.defer(() => dialect.close());
  });

  test("pages, their order and where they go on are those of a plain filter", async () => {
    for (let round = 0; round < 20; round += 1) {
      let query = randomScan();
      for (let pages = 0; pages < 4; pages += 1) {
        const { rows, next } = await scan(dialect, query, limits);
        const seen = { page: rows.map(toPlace), next };
        expect(seen, `seed ${faultSeed}, round ${round}`).toEqual(plainPage(query, made));
        if (next === undefined) break;
        query = { ...query, after: next };
      }
    }
  });

  const newest = { limit: rowsOfKey, order: "descending", by: "time" } as const;
  const parts = async (principal: readonly string[]) => {
    let count = 0;
    const db = spyOn(dialect.db, async ({ sql }) => {
      count += sql.split(" union all ").length;
    });
    await scan({ ...dialect, db }, { ...newest, filter: { principal } }, limits);
    return count;
  };

  test("as many tokens are united as a page has, however many keys there have been", async () => {
    expect(await parts([...tokens, ...unused])).toBeLessThan(20);
    expect(await parts(["somebody-else", ...unused])).toBeLessThan(10);
  });

  test.if(kind === "postgres")("few rows are read for it, by the server's counters", async () => {
    const before = await countRead();
    const reading = databases.openDialect(kind);
    await scan(reading, { ...newest, filter: { principal: [...tokens, ...unused] } }, limits);
    await reading.close();
    expect((await countRead()) - before).toBeLessThanOrEqual(readMax);
  });

  // The second goes on behind all that was held against its filter.
  test.each<Pick<AuditScan, "order" | "filter">>([
    { order: "descending", filter: { principal: tokens } },
    { order: "ascending", filter: { principal: tokens, status: "success" } },
  ])("rows that go while a page is read do not end it: $order", async (asked) => {
    const query = { ...newest, ...asked };
    const { page, next } = plainPage(query, made);
    const db = spyOn(dialect.db, async ({ sql }) => {
      if (sql.includes("audit_records")) await empty(kind, page);
    });
    const found = await scan({ ...dialect, db }, query, limits);
    expect({ page: found.rows.map(toPlace), next: found.next }).toEqual({ page, next });
  });
});

/** Rows and index entries of the copy read by whoever has disconnected. */
async function countRead(): Promise<number> {
  const [found] = await ask(`select (
      select sum(seq_tup_read) from pg_stat_user_tables where relname like 'audit_records%'
    ) + (
      select sum(idx_tup_read) from pg_stat_user_indexes where relname like 'audit_records%'
    ) as read`);
  return Number(found?.read);
}

/** As somebody else who prunes them. */
async function empty(kind: DatabaseKind, places: readonly AuditPlace[]): Promise<void> {
  const text = `update audit_records set envelope = null where seq in (${places.map(({ seq }) => seq)})`;
  if (kind === "sqlite") {
    using db = new Database(join(databases.dataDir, "gateway.sqlite"));
    db.run(text);
  } else await ask(text);
}

async function ask(text: string): Promise<readonly { readonly read?: string }[]> {
  const client = new Client({ connectionString: databases.postgresUrl });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}
