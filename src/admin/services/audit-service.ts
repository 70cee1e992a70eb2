/**
 * AuditService: searching, exporting, following and verifying the record. Reads the store's copy page by page and
 * holds one page at most, however long the answer.
 */
import type { ProofSource } from "../../audit/export-proofs.ts";
import type { OpenAuditLog } from "../../audit/log.ts";
import type { VerifyReport } from "../../audit/verify/findings.ts";
import type { AuditService } from "../../gen/types.ts";
import type { AuditFilter, AuditRow } from "../../storage/store.ts";
import { exportRecords } from "../audit-export.ts";
import type { Caller } from "../caller.ts";
import { matchesFilter } from "../convert/records.ts";
import { fromVerifyReport } from "../convert/verification.ts";
import { viewRows } from "../record-view.ts";
import { type AuditEvidenceDeps, createAuditEvidence } from "./audit-evidence.ts";
import {
  type AuditSearchDeps,
  caughtUpMs,
  createAuditSearch,
  toOwnFilter,
} from "./audit-search.ts";
import { openField } from "./open-field.ts";

export interface AuditServiceDeps extends AuditSearchDeps, AuditEvidenceDeps {
  readonly store: AuditSearchDeps["store"];
  readonly log: Pick<OpenAuditLog, "tail" | "status" | "caughtUp">;
  readonly proofs: ProofSource;
  readonly beginExport: () => Disposable;
  readonly verifyLog: (signal: AbortSignal) => Promise<readonly VerifyReport[]>;
  /** Records waiting for a reader of TailRecords; beyond it they are dropped and counted. */
  readonly tailBacklogMax?: number;
}

/** Records opened at once for a reader of TailRecords. */
const tailBatchMax = 100;

export function createAuditService(deps: AuditServiceDeps): AuditService<Caller> {
  return {
    ...createAuditEvidence(deps),
    ...createAuditSearch(deps),
    async *exportRecords(request, caller) {
      const filter = await deps.tokens.toStored(toOwnFilter(request.filter, caller));
      await deps.log.caughtUp(caughtUpMs);
      yield* exportRecords(deps, request, filter, caller);
    },
    tailRecords: (request, caller) =>
      tailRecords(deps, toOwnFilter(request.filter, caller), caller),
    openField: (request, caller) => openField(deps, request, caller),
    async verifyLog(_request, caller) {
      const logs = await deps.verifyLog(caller.signal);
      return { ok: logs.every((log) => log.ok), logs: logs.map(fromVerifyReport) };
    },
  };
}

/** Never ends by itself: the reader cancels, or the server drains. */
async function* tailRecords(deps: AuditServiceDeps, asked: AuditFilter, caller: Caller) {
  const signal = AbortSignal.any([caller.signal, caller.draining]);
  const filter = await deps.tokens.toStored(asked);
  const backlogMax = deps.tailBacklogMax ?? 1000;
  const waiting: AuditRow[] = [];
  let dropped = 0;
  let wake: () => void = () => {};
  const stop = deps.log.tail((row) => {
    if (!matchesFilter(row, filter)) return;
    if (waiting.length < backlogMax) waiting.push(row);
    else dropped += 1;
    wake();
  });
  const onAbort = () => wake();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    while (!signal.aborted) {
      const rows = waiting.splice(0, tailBatchMax);
      if (rows.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      for (const record of await viewRows(rows, caller, deps.opener)) {
        const dropped_before = dropped;
        dropped = 0;
        yield { record, dropped_before };
      }
    }
  } finally {
    stop();
    signal.removeEventListener("abort", onAbort);
  }
}
