/**
 * An audit log with its spool, database, vault and everything that erases, in one folder, as a gateway on it has
 * them. `step` is told before and after each thing that erasing does, so that a test can break off there. Asserts
 * nothing.
 */
import { type OpenAuditLog, openAuditLog } from "../../src/audit/log.ts";
import { createOpener } from "../../src/audit/opener.ts";
import { createFilterTokens } from "../../src/audit/tokens.ts";
import { createKeyWork, type KeyWork } from "../../src/compose/erasure.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/storage/open-store.ts";
import type { AuditFilter, AuditPage, AuditRow, Store } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import type { Vault } from "../../src/vault/vault.ts";
import { until } from "./deadline.ts";
import { openFolderVault } from "./sealing.ts";

export interface ErasingLog extends AsyncDisposable {
  readonly log: OpenAuditLog;
  readonly store: Store;
  readonly vault: Vault;
  readonly work: KeyWork;
  /** Records a call of somebody's, and resolves with its sequence number. */
  call(
    principal: string,
    more?: { readonly timeMs?: number; readonly dataClass?: string },
  ): Promise<number>;
  /** Resolves when everything recorded so far stands in the database. */
  shipped(): Promise<void>;
  /** Whose calls can still be read, by sequence number. */
  readable(): Promise<ReadonlyMap<number, string>>;
  /** Sequence numbers found by searching for a principal. */
  found(principal: string): Promise<readonly number[]>;
}

export interface ErasingLogOptions {
  readonly step?: (name: string) => void;
  readonly databaseUrl?: string;
  readonly mixSubjects?: number;
  readonly mixHours?: number;
  readonly keyRetireMinutes?: number;
}

export async function openErasingLog(
  dataDir: string,
  options: ErasingLogOptions = {},
): Promise<ErasingLog> {
  const { step = () => {}, databaseUrl } = options;
  const opened = await openStore({
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    ...{ dataDir, log: silentLog, deadlineMs: 30_000, migrate: true },
  });
  const store = { ...opened, audit: stepping(opened.audit, ["erase"], step) };
  const vault = await openFolderVault(dataDir);
  const metrics = createMetrics();
  const log = await openAuditLog({
    ...{ dataDir, store: opened, keys: vault, clock: systemClock, log: silentLog, metrics },
    options: { segmentBytesMax: 32 * 1024, lingerMs: 1, backoffMinMs: 5, deadlineMs: 30_000 },
  });
  const work = await createKeyWork({
    config: {
      erasure: {
        mixSubjects: options.mixSubjects ?? 5,
        mixHours: options.mixHours ?? 24,
        keyRetireMinutes: options.keyRetireMinutes ?? 10,
      },
    },
    vault: steppingVault(vault, step),
    store,
    audit: stepping(log, ["append", "shred"], step),
    verifying: { isWitnessed: async () => true, untilRead: async () => {} },
    cache: { purge: () => 0 },
    ...{ clock: systemClock, log: silentLog, metrics },
  });
  const opener = createOpener(vault);
  const tokens = createFilterTokens(vault);
  const rowsOf = async (filter: AuditFilter) => {
    const rows: AuditRow[] = [];
    let after: AuditPage["next"];
    do {
      const query = { filter, limit: 5_000, order: "ascending" } as const;
      const page = await store.audit.scan({ ...query, ...(after && { after }) });
      rows.push(...page.rows);
      after = page.next;
    } while (after !== undefined);
    return rows;
  };
  return {
    log,
    store,
    vault,
    work,
    async call(principal, { timeMs = systemClock.nowMs(), dataClass } = {}) {
      const facts = { tool: "t", ...(dataClass === undefined ? {} : { dataClass }) };
      const details = { principal, arguments: secretOf(principal) };
      const own = { event: "call.outcome", class: "A", timeMs, facts, details } as const;
      return (await log.append(own, "synced")).seq;
    },
    shipped: async () => {
      await log.flush();
      const { syncedSeq } = log.status();
      await until("everything shipped", () => log.status().shippedSeq >= syncedSeq);
    },
    async readable() {
      const rows = await opener.open(await rowsOf({ event: "call.outcome" }));
      const open = rows.filter((one) => one.state === "open");
      return new Map(open.map((one) => [one.row.seq, String(one.values.principal)]));
    },
    async found(principal) {
      const filter = await tokens.toStored({ principal, event: "call.outcome" });
      return (await rowsOf(filter)).map((row) => row.seq);
    },
    async [Symbol.asyncDispose]() {
      await work.stop();
      await log.close();
      await vault.close();
      await store.close();
    },
  };
}

/** What only this principal's records hold. */
export function secretOf(principal: string): string {
  return `secret-of-${principal}-secret`;
}

function steppingVault(vault: Vault, step: (name: string) => void): Vault {
  const sweeps = stepping(vault.store.sweeps, ["put", "swept", "remove", "scrub"], step);
  const store = stepping({ ...vault.store, sweeps }, ["destroy", "succeed", "rewrap"], step);
  return { ...stepping(vault, ["destroy"], step), store };
}

function stepping<T extends object>(
  whole: T,
  names: readonly (keyof T & string)[],
  step: (name: string) => void,
): T {
  const stepped = { ...whole } as Record<string, unknown>;
  for (const name of names) {
    const work = whole[name] as (...given: readonly unknown[]) => Promise<unknown>;
    stepped[name] = async (...given: readonly unknown[]) => {
      step(`before ${name}`);
      const result = await work(...given);
      step(`after ${name}`);
      return result;
    };
  }
  return stepped as T;
}
