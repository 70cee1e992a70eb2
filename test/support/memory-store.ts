/**
 * A Store in memory with the real one's semantics (compare-and-set, pages), for suites about something else.
 */
import { matchesFilter } from "../../src/admin/convert/records.ts";
import {
  type AuditRow,
  type AuditStore,
  type ResourceStore,
  type StoredResource,
  StoreError,
} from "../../src/storage/store.ts";

export interface MemoryResourceStore extends ResourceStore {
  /** Runs before the next write is compared: to let another process win. */
  beforeWrite: (() => Promise<void> | void) | undefined;
  /** Tells watchers, as another process's write would. */
  notify(): void;
}

export function createMemoryResourceStore(): MemoryResourceStore {
  let stateRevision = 0;
  const resources = new Map<string, StoredResource>();
  const watchers = new Set<(revision: number) => void>();
  const store: MemoryResourceStore = {
    beforeWrite: undefined,
    notify: () => {
      for (const watcher of watchers) watcher(stateRevision);
    },
    load: async () => ({ stateRevision, resources: [...resources.values()] }),
    revision: async () => stateRevision,
    async write(changes, expectedRevision, nowMs) {
      const before = store.beforeWrite;
      store.beforeWrite = undefined;
      await before?.();
      if (expectedRevision !== stateRevision) throw new StoreError("conflict", "moved on");
      stateRevision += 1;
      for (const change of changes) {
        const key = JSON.stringify([change.kind, change.tenant, change.name]);
        if ("delete" in change) resources.delete(key);
        else {
          const createdAtMs = resources.get(key)?.createdAtMs ?? nowMs;
          resources.set(key, { ...change, createdAtMs, updatedAtMs: nowMs, stateRevision });
        }
      }
      return stateRevision;
    },
    watch(changed) {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
  };
  return store;
}

/** `scan` over rows that are given in ascending order. */
export function createMemoryAuditScan(
  rows: readonly AuditRow[],
): Pick<AuditStore, "scan" | "summarize"> {
  return {
    async scan({ filter, after, limit, order }) {
      const found = rows.filter((row) => matchesFilter(row, filter));
      if (order === "descending") found.reverse();
      const isPast = (row: AuditRow) =>
        after === undefined || (order === "ascending" ? row.seq > after.seq : row.seq < after.seq);
      const rest = found.filter(isPast);
      const page = rest.slice(0, limit);
      const last = page.at(-1);
      const hasMore = rest.length > page.length && last !== undefined;
      return { rows: page, next: hasMore ? { logId: last.logId, seq: last.seq } : undefined };
    },
    async summarize({ filter, by }) {
      const found = rows.filter((row) => matchesFilter(row, filter));
      const groups = Map.groupBy(found, (row) => JSON.stringify(by.map((column) => row[column])));
      return {
        groups: [...groups.values()].map((own) => ({
          ...Object.fromEntries(by.map((column) => [column, own[0]?.[column] ?? null])),
          records: own.length,
          firstTimeMs: Math.min(...own.map((row) => row.timeMs)),
          lastTimeMs: Math.max(...own.map((row) => row.timeMs)),
        })),
        isComplete: true,
      };
    },
  };
}

export function auditRow(seq: number, more: Partial<AuditRow> = {}): AuditRow {
  return {
    logId: "log-1",
    seq,
    leaf: "0".repeat(64),
    envelope: `{"seq":${seq}}`,
    details: null,
    timeMs: 1_000 + seq,
    event: "call.outcome",
    durability: "B",
    principal: "client:ci",
    client: "ci",
    tool: "add",
    server: "calculator",
    scope: "calculator",
    method: "tools/call",
    status: "ok",
    decision: "allow",
    session: null,
    correlationId: null,
    dataClass: null,
    tenant: null,
    ...more,
  };
}
