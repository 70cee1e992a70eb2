/**
 * Counts of records are those of a plain count over the newest that match, so many at most, on both databases: whoever asks
 * is told of more without having them counted.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { AuditRow, AuditSummaryQuery, Store, SummaryColumn } from "../../src/storage/store.ts";
import { auditRow } from "../support/audit-row.ts";
import {
  type BothDatabases,
  databaseKinds,
  startBothDatabases,
} from "../support/both-databases.ts";
import { createRandom, faultSeed } from "../support/random.ts";

setDefaultTimeout(60_000);

const random = createRandom();
const startMs = Date.UTC(2026, 8, 20);
const by = ["server", "status"] as const satisfies readonly SummaryColumn[];

/** Two nodes, times that are shared and times out of order, columns without a value, pruned rows. */
const made: readonly AuditRow[] = Array.from({ length: 400 }, (_, at) =>
  auditRow(at + 1, {
    logId: random(2) === 0 ? "log-a" : "log-b",
    timeMs: startMs + random(200) * 10_000_000,
    server: random(5) === 0 ? null : `server-${random(4)}`,
    status: random(3) === 0 ? "denied" : "success",
    tool: random(2) === 0 ? "add" : "div",
    ...(random(10) === 0 ? { envelope: null } : {}),
  }),
);

const isLive = (tool: string) => (row: AuditRow) => row.envelope !== null && row.tool === tool;

function plainSummary({ rowsMax }: Pick<AuditSummaryQuery, "rowsMax">) {
  const found = made
    .filter(isLive("add"))
    .toSorted((a, b) => b.timeMs - a.timeMs || (a.logId < b.logId ? 1 : -1) || b.seq - a.seq);
  const counted = found.slice(0, rowsMax);
  const groups = Map.groupBy(counted, ({ server, status }) => JSON.stringify({ server, status }));
  return {
    groups: new Set(
      [...groups].map(([group, rows]) => ({
        ...JSON.parse(group),
        records: rows.length,
        firstTimeMs: Math.min(...rows.map(({ timeMs }) => timeMs)),
        lastTimeMs: Math.max(...rows.map(({ timeMs }) => timeMs)),
      })),
    ),
    isComplete: found.length <= rowsMax,
  };
}

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
let databases: BothDatabases;
beforeAll(async () => {
  databases = stack.use(await startBothDatabases("audit-summary"));
});

describe.each(databaseKinds)("%s", (kind) => {
  let store: Store;
  beforeAll(async () => {
    store = await databases.openStore(kind);
    stack.defer(() => store.close());
    // Logs have numbers in the order in which they come.
    await store.audit.append(made.filter(({ logId }) => logId === "log-a"));
    await store.audit.append(made.filter(({ logId }) => logId === "log-b"));
  });
  const live = made.filter(isLive("add")).length;

  test.each([1, 2, 3, 20, live - 1, live, live + 1])(
    "the newest %i are counted",
    async (rowsMax) => {
      const query = { filter: { tool: "add" }, by, rowsMax, groupsMax: 100 };
      const { groups, isComplete } = await store.audit.summarize(query);
      const records = groups.map((group) => group.records);
      expect(records).toEqual(records.toSorted((a, b) => b - a));
      expect({ groups: new Set(groups), isComplete }, `seed ${faultSeed}`).toEqual(
        plainSummary(query),
      );
    },
  );
});
