/**
 * An export as JSON lines that strangers can verify (`audit/export-lines.ts`). A whole log needs the checkpoint alone;
 * where records were chosen, each carries its own proof if that was asked for, with the orders that explain what is
 * missing in them and the hand-overs of the node's key.
 */
import { type ExportLine, renderExportLine } from "../audit/export-lines.ts";
import type { LogProofs, ProofSource } from "../audit/export-proofs.ts";
import type { AuditRecord, ExportRecordsRequest } from "../gen/types.ts";
import type { AuditFilter, AuditRow, AuditStore } from "../storage/store.ts";
import type { ExportFormat } from "./export-format.ts";

export interface VerifiableLinesDeps {
  readonly store: Pick<AuditStore, "scan">;
  readonly proofs: ProofSource;
  /** As the store knows it. */
  readonly filter: AuditFilter;
  /** The caller may not see who it was, sealed or not. */
  readonly isHidden: boolean;
  readonly request: Pick<ExportRecordsRequest, "include_pruned" | "proofs">;
}

const pageSize = 500;

export async function createVerifiableLines(deps: VerifiableLinesDeps): Promise<ExportFormat> {
  const { store, filter, request } = deps;
  // A filter's member that is there but undefined narrows nothing.
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  const isContiguous = !isFiltered && request.include_pruned;
  const wantsProofs = isContiguous || request.proofs;
  const own = wantsProofs ? await deps.proofs() : undefined;

  const hidden = deps.isHidden ? ({ hidden: true } as const) : {};

  async function* head(): AsyncGenerator<string> {
    const lines: ExportLine[] = [{ kind: "export", v: 1, contiguous: isContiguous, ...hidden }];
    if (own !== undefined) lines.push(...describeKeys(own));
    yield lines.map(renderExportLine).join("");
    if (own === undefined || isContiguous) return;
    const events = ["erasure.executed", "keys.rotated"];
    if (request.include_pruned) events.push("retention.executed");
    for (const event of events) {
      for await (const row of scanEvent(store, event)) {
        if (row.logId === own.logId && row.envelope !== null) yield renderSupport(row, own);
      }
    }
  }

  function line(record: AuditRecord): string {
    const { log_id: log, seq, leaf, envelope_json, sealed_json, details_json } = record;
    const proof = isContiguous || log !== own?.logId ? undefined : own.prove(seq);
    return renderExportLine({
      kind: "record",
      log,
      seq,
      leaf,
      envelope: envelope_json === "" ? null : envelope_json,
      sealed: sealed_json === "" ? null : sealed_json,
      ...(proof === undefined ? {} : { proof }),
      ...(details_json === "" ? {} : { opened: JSON.parse(details_json) }),
    });
  }

  const tail = (count: number, sha256: string) =>
    renderExportLine({ kind: "manifest", count, sha256 });
  return { head, line, tail };
}

function describeKeys({ logId, checkpoint, certificates }: LogProofs): readonly ExportLine[] {
  return [
    { kind: "checkpoint", log: logId, note: checkpoint },
    ...certificates.map((note): ExportLine => ({ kind: "certificate", log: logId, note })),
  ];
}

function renderSupport({ seq, envelope }: AuditRow, { logId, prove }: LogProofs): string {
  const proof = prove(seq);
  return renderExportLine({
    kind: "support",
    log: logId,
    seq,
    envelope: envelope ?? "",
    ...(proof === undefined ? {} : { proof }),
  });
}

async function* scanEvent(store: Pick<AuditStore, "scan">, event: string) {
  const query = { filter: { event }, limit: pageSize, order: "ascending" } as const;
  let page = await store.scan(query);
  while (true) {
    yield* page.rows;
    if (page.next === undefined) return;
    page = await store.scan({ ...query, after: page.next });
  }
}
