/**
 * What verification found of a log, as the RPC tells it.
 */
import type { VerifyReport } from "../../audit/verify/findings.ts";
import type { LogVerification } from "../../gen/types.ts";

export function fromVerifyReport(report: VerifyReport): LogVerification {
  const { verdicts } = report;
  const found = report.violation ?? report.undecided;
  return {
    log_id: report.logId,
    ok: report.ok,
    records: report.records,
    first_seq: report.firstSeq,
    last_seq: report.lastSeq,
    problem: found?.message ?? "",
    kind: found?.kind ?? "",
    violation_seq: found?.seq ?? 0,
    covered: report.covered,
    verdicts: {
      ok: verdicts.ok,
      ok_sealed: verdicts.okSealed,
      ok_shredded: verdicts.okShredded,
      ok_pruned: verdicts.okPruned,
    },
  };
}
