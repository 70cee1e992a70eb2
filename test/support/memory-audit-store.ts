/**
 * A tiny in-memory AuditStore for the audit log's own tests; `isDown` makes every call fail like a lost database.
 */
import { matchesFilter } from "../../src/admin/convert/records.ts";
import {
  type AuditFilter,
  type AuditRow,
  type AuditStore,
  type SealedQuery,
  StoreError,
} from "../../src/storage/store.ts";

export interface MemoryAuditStore extends AuditStore {
  readonly rows: AuditRow[];
  isDown: boolean;
}

export function createMemoryAuditStore(): MemoryAuditStore {
  const rows: AuditRow[] = [];
  const live = (filter: AuditFilter, exclude: readonly AuditFilter[]) =>
    rows.filter(
      (row) =>
        row.envelope !== null &&
        matchesFilter(row, filter) &&
        !exclude.some((one) => matchesFilter(row, one)),
    );
  const store: MemoryAuditStore = {
    rows,
    isDown: false,
    append: async (added) => {
      needUp();
      for (const row of added) {
        const found = rows.find((one) => one.logId === row.logId && one.seq === row.seq);
        if (found === undefined) rows.push(row);
        else if (found.leaf !== row.leaf) throw new StoreError("corrupt", "fork");
      }
    },
    head: async (logId) => {
      needUp();
      return rows.filter((row) => row.logId === logId).toSorted((a, b) => b.seq - a.seq)[0];
    },
    scan: async ({ filter, after, limit, includePruned }) => {
      needUp();
      const found = rows
        .filter((row) => (includePruned || row.envelope !== null) && matchesFilter(row, filter))
        .filter((row) => after === undefined || placeOf(row) > placeOf(after))
        .toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
      const page = found.slice(0, limit);
      const last = page.at(-1);
      return { rows: page, next: found.length > limit ? last : undefined };
    },
    summarize: async () => ({ groups: [], isComplete: true }),
    prunable: async ({ filter, exclude, limit }) => {
      needUp();
      return live(filter, exclude).slice(0, limit);
    },
    countPrunable: async ({ filter, exclude }) => live(filter, exclude).length,
    sealed: async ({ limit, ...query }) => {
      needUp();
      const found = rows.filter((row) => isSealed(row, query));
      return found.toSorted((a, b) => a.timeMs - b.timeMs || a.seq - b.seq).slice(0, limit);
    },
    countSealed: async (query) => rows.filter((row) => isSealed(row, query)).length,
    oldestTokenMs: async () =>
      rows
        .filter((row) => row.principal !== null)
        .map((row) => row.timeMs)
        .toSorted((a, b) => a - b)[0],
    erase: async (gone) => {
      needUp();
      const nothing = { details: null, principal: null, client: null, session: null };
      let count = 0;
      for (const { logId, seq } of gone) {
        const at = rows.findIndex((row) => row.logId === logId && row.seq === seq);
        const row = rows[at];
        if (row === undefined || row.details === null) continue;
        rows[at] = { ...row, ...nothing };
        count += 1;
      }
      return count;
    },
    replace: async (added) => {
      needUp();
      for (const row of added) {
        const at = rows.findIndex((one) => one.logId === row.logId && one.seq === row.seq);
        if (at === -1) rows.push(row);
        else rows[at] = row;
      }
    },
    prune: async (gone) => {
      let count = 0;
      for (const { logId, seq } of gone) {
        const at = rows.findIndex((row) => row.logId === logId && row.seq === seq);
        const row = rows[at];
        if (row === undefined || row.envelope === null) continue;
        rows[at] = { ...row, envelope: null, details: null };
        count += 1;
      }
      return count;
    },
  };
  function needUp(): void {
    if (store.isDown) throw new StoreError("unavailable", "the database is away");
  }
  return store;
}

function isSealed(row: AuditRow, query: SealedQuery): boolean {
  const at = query.of === "subject" ? 18 : 45;
  if (row.details === null || !query.keys.includes(row.details.slice(at, at + 16))) return false;
  if (query.exceptLogs?.includes(row.logId)) return false;
  if (row.timeMs < (query.fromMs ?? 0)) return false;
  if (row.timeMs >= (query.untilMs ?? Number.POSITIVE_INFINITY)) return false;
  return query.principals === undefined || query.principals.includes(row.principal ?? "");
}

function placeOf(row: { readonly logId: string; readonly seq: number }): string {
  return `${row.logId}/${String(row.seq).padStart(16, "0")}`;
}
