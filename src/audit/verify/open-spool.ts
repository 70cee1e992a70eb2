/**
 * Opens the sealed parts of a spool that was verified, where the keys are at hand: what does not open to what the
 * envelope committed to was changed, and no hash tells. A second pass, because keys are asked for in batches.
 */
import type { AuditRow } from "../../storage/store.ts";
import type { Opener } from "../opener.ts";
import { toAuditRow } from "../row.ts";
import { listSegments } from "../spool/files.ts";
import type { RecordFrame } from "../spool/format.ts";
import { type VerifyReport, violationOf } from "./findings.ts";
import { readSegment } from "./read-spool.ts";

const batchRows = 500;

/** The report on a sound spool with what opening adds to it. */
export async function openSpoolParts(
  dir: string,
  report: VerifyReport,
  opener: Opener,
): Promise<VerifyReport> {
  let opened = 0;
  for (const rows of readRows(dir)) {
    for (const { row, state } of await opener.open(rows)) {
      if (state === "broken") {
        const why = "its sealed part is not what it committed to";
        return {
          ...report,
          ok: false,
          violation: violationOf(row.seq, "edit", why),
          undecided: undefined,
        };
      }
      if (state === "open") opened += 1;
    }
  }
  const { ok, okSealed } = report.verdicts;
  const verdicts = { ...report.verdicts, ok: ok + opened, okSealed: okSealed - opened };
  return { ...report, verdicts };
}

/** Rows of the records that have something to open. */
function* readRows(dir: string): Generator<readonly AuditRow[]> {
  const segments = listSegments(dir);
  for (const [index, segment] of segments.entries()) {
    let rows: AuditRow[] = [];
    for (const piece of readSegment(segment, segments[index + 1]?.firstSeq ?? Infinity)) {
      if (piece.kind !== "record" || piece.part !== "sealed") continue;
      rows.push(...(toRow(piece.frame) ?? []));
      if (rows.length < batchRows) continue;
      yield rows;
      rows = [];
    }
    yield rows;
  }
}

function toRow(frame: RecordFrame): readonly AuditRow[] | undefined {
  const row = toAuditRow(frame);
  return row && [row];
}
