/**
 * One page in its three places: which of them is wrong is said by the other two.
 */
import { expect, test } from "bun:test";
import { comparePage, type Page } from "../../../../src/audit/monitor/page.ts";
import { toAuditRow } from "../../../../src/audit/row.ts";
import type { AuditRow } from "../../../../src/storage/store.ts";
import { openSpooledLog } from "../../../support/spooled-log.ts";

async function soundPage(): Promise<Page> {
  await using log = await openSpooledLog();
  await log.append({}, {}, {});
  const records = await log.read();
  return {
    ...{ from: 1, to: 3, spoolFrom: 1, databaseTo: 3, headless: new Set<number>() },
    doubled: new Set(),
    leaves: new Map(records.map((record) => [record.seq, record.leaf])),
    rows: new Map(records.map((record) => [record.seq, toAuditRow(record) as AuditRow])),
    records: new Map(records.map((record) => [record.seq, record])),
    mayBeGone: () => false,
  };
}

function withRow(page: Page, seq: number, change: Partial<AuditRow> | undefined): Page {
  const rows = new Map(page.rows);
  const row = rows.get(seq);
  if (change === undefined || row === undefined) rows.delete(seq);
  else rows.set(seq, { ...row, ...change });
  return { ...page, rows };
}

test("what agrees is sound, with or without a tree, in the spool or beyond it", async () => {
  const page = await soundPage();
  expect(comparePage(page)).toEqual([]);
  expect(comparePage({ ...page, leaves: new Map() })).toEqual([]);
  expect(comparePage({ ...page, spoolFrom: 4, records: new Map() })).toEqual([]);
  expect(comparePage({ ...page, databaseTo: 0, rows: new Map() })).toEqual([]);
});

test.each([
  [undefined, "deleted"],
  [{ envelope: null }, "deleted"],
  [{ details: null, principal: null, client: null }, "deleted"],
  [{ leaf: "00".repeat(32) }, "edited"],
  [{ envelope: "{}" }, "edited"],
  [{ principal: "00".repeat(16) }, "edited"],
  [{ timeMs: 1 }, "edited"],
  [{ details: '{"v":1}', principal: null, client: null }, "edited"],
] as const)("ST-06: a row with %p is %s", async (change, kind) => {
  const page = withRow(await soundPage(), 2, change);
  expect(comparePage(page)).toEqual([{ place: "database", kind, seq: 2 }]);
});

test("ST-06: a number that was given out twice is an insertion", async () => {
  const page = { ...(await soundPage()), doubled: new Set([3]) };
  expect(comparePage(page)).toEqual([{ place: "database", kind: "inserted", seq: 3 }]);
});

test("what an order lets be gone is no finding", async () => {
  const page = { ...(await soundPage()), mayBeGone: (seq: number) => seq === 2 };
  expect(comparePage(withRow(page, 2, { envelope: null, details: null }))).toEqual([]);
  const erased = { details: null, principal: null, client: null, session: null };
  expect(comparePage(withRow(page, 2, erased))).toEqual([]);
  expect(comparePage(withRow(page, 2, undefined))).toHaveLength(1);
});

test("where both copies agree against the tree it is the tree", async () => {
  const page = await soundPage();
  const leaves = new Map(page.leaves).set(2, "00".repeat(32));
  expect(comparePage({ ...page, leaves })).toEqual([{ place: "tree", kind: "edited", seq: 2 }]);
});

test("ST-14: a record that is not in the spool, or whose segment has no header, is damage", async () => {
  const page = await soundPage();
  const records = new Map(page.records);
  records.delete(2);
  const damaged = [{ place: "spool", kind: "damaged", seq: 2 }];
  expect(comparePage({ ...page, records }) as object[]).toEqual(damaged);
  expect(comparePage({ ...page, headless: new Set([2]) }) as object[]).toEqual(damaged);
});
