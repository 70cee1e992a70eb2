/**
 * Holds what is there now against what the log says was erased, once after each start: a database or a vault that was
 * restored from a copy brings back what was destroyed (K-16). What came back is erased again, and a key that did is
 * reported, because until the copy it came from is gone the erasure is not complete. Called by `erasure.ts`.
 */
import type { Clock } from "../lib/clock.ts";
import { parseSeqs } from "../lib/seqs.ts";
import type { AuditRow, AuditStore } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Sweep, SweepStore } from "../vault/sweeps.ts";
import { type OrderAudit, orderRowsMax } from "./orders.ts";

export interface ErasureCheckDeps {
  readonly store: Pick<AuditStore, "scan" | "erase">;
  readonly vault: {
    /** Which of these keys are there and not destroyed. */
    liveAmong(ids: readonly string[]): Promise<readonly string[]>;
    readonly sweeps: Pick<SweepStore, "put">;
  };
  readonly audit: OrderAudit;
  readonly clock: Clock;
  readonly log: Log;
}

type Facts = Readonly<Record<string, unknown>>;

const pageRows = 500;

/** Resolves with how many keys, and how many records' sealed parts, had come back. */
export async function checkErasures(
  deps: ErasureCheckDeps,
): Promise<{ readonly keys: number; readonly records: number }> {
  let keys = 0;
  for await (const rows of pagesOf(deps.store, "keys.destroyed")) {
    keys += await destroyReturned(deps, rows.map(factsOf));
  }
  let records = 0;
  for await (const rows of pagesOf(deps.store, "erasure.executed")) {
    for (const row of rows) records += await deps.store.erase(placesOf(row));
  }
  if (records > 0) deps.log.warn("erasure.records_returned", { records });
  return { keys, records };
}

async function* pagesOf(
  store: Pick<AuditStore, "scan">,
  event: string,
): AsyncGenerator<readonly AuditRow[]> {
  const query = { filter: { event }, limit: pageRows, order: "ascending" } as const;
  let page = await store.scan(query);
  while (true) {
    yield page.rows;
    if (page.next === undefined) return;
    page = await store.scan({ ...query, after: page.next });
  }
}

/** A key that is there again is noted for its sweep, and the next step of the run destroys it. */
async function destroyReturned(deps: ErasureCheckDeps, told: readonly Facts[]): Promise<number> {
  const { vault, audit, clock, log } = deps;
  const byKey = new Map(told.map((facts) => [textOf(facts.key), facts]));
  const returned = await vault.liveAmong([...byKey.keys()]);
  if (returned.length === 0) return 0;
  await vault.sweeps.put(returned.map((key) => toSweep(key, byKey.get(key) ?? {}, clock.nowMs())));
  for (const key of returned) {
    log.error("vault.destroyed_key_returned", {
      key,
      advice:
        "The key vault is older than the log: was a copy restored? The erasure is not complete yet.",
    });
    const facts = { kind: "destroyed-key-returned", key, status: "erasure-not-completed" };
    const own = { event: "integrity.violation", class: "A", timeMs: clock.nowMs() } as const;
    await audit.append({ ...own, facts, details: {} }, "synced");
  }
  return returned.length;
}

/** Whose it was is not known any more, so all rows are looked at. */
function toSweep(key: string, facts: Facts, orderedAtMs: number): Sweep {
  return {
    key,
    purpose: facts.purpose === "class" ? "class" : "subject",
    tenant: textOf(facts.tenant),
    label: textOf(facts.label),
    ...{ principals: null, fromMs: null, untilMs: null, orderedAtMs },
    isUrgent: true,
    isRecorded: false,
  };
}

function placesOf(row: AuditRow): readonly { readonly logId: string; readonly seq: number }[] {
  const { erasedLog, erasedSeqs } = factsOf(row);
  const seqs = parseSeqs(textOf(erasedSeqs), orderRowsMax) ?? [];
  return seqs.map((seq) => ({ logId: textOf(erasedLog), seq }));
}

function factsOf({ envelope }: AuditRow): Facts {
  try {
    const parsed = JSON.parse(envelope ?? "{}") as { readonly facts?: Facts };
    return parsed.facts ?? {};
  } catch {
    return {};
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
