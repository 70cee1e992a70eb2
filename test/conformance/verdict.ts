/**
 * What counts as clean, and what an expected failure excuses. A scenario is clean where no check failed or warned, at
 * least one succeeded, and none was skipped that succeeds straight to the server: a dead endpoint, and a gateway that
 * hides a capability, fail few checks, because most are then never reached.
 */
import type { Check } from "./official-suite.ts";

export interface ExpectedFailure {
  readonly set: string;
  /** Holds for each of the scenarios in each of the columns. */
  readonly columns: readonly string[];
  readonly scenarios: readonly string[];
  /** Excuses these checks and no others, all of which must be in the way. Left out, it excuses the whole scenario. */
  readonly checks?: readonly string[];
  readonly reason: string;
}

export interface Cell {
  readonly set: string;
  readonly column: string;
  readonly scenario: string;
  readonly isScored: boolean;
  /** Undefined where the suite left no result. */
  readonly checks: readonly Check[] | undefined;
}

/** `stale` is an expected failure that is clean now, wholly or in one of its checks: the entry must change. */
export type Verdict = "clean" | "failed" | "expected" | "stale";

export interface Complaint {
  /** The check's id; empty where the scenario as a whole is meant. */
  readonly check: string;
  readonly text: string;
}

export interface Judged extends Cell {
  readonly verdict: Verdict;
  /** What was in the way; empty where clean. */
  readonly complaints: readonly Complaint[];
  readonly reason?: string;
}

/** The column the others are measured against. */
export const baseline = "straight";

export function judgeAll(
  cells: readonly Cell[],
  expected: readonly ExpectedFailure[],
): readonly Judged[] {
  return cells.map((cell) => {
    const straight = cells.find(
      ({ set, column, scenario }) =>
        column === baseline && set === cell.set && scenario === cell.scenario,
    );
    return judge(cell, expected, straight);
  });
}

export function judge(
  cell: Cell,
  expected: readonly ExpectedFailure[],
  straight?: Cell | undefined,
): Judged {
  const complaints = [...findComplaints(cell.checks), ...findHidden(cell.checks, straight?.checks)];
  const entry = expected.find((one) => covers(one, cell));
  if (entry === undefined) {
    return { ...cell, complaints, verdict: complaints.length === 0 ? "clean" : "failed" };
  }
  const { reason } = entry;
  return { ...cell, complaints, reason, verdict: excuse(entry, complaints) };
}

function excuse({ checks }: ExpectedFailure, complaints: readonly Complaint[]): Verdict {
  if (checks === undefined) return complaints.length === 0 ? "stale" : "expected";
  if (complaints.some(({ check }) => !checks.includes(check))) return "failed";
  const isComplete = checks.every((id) => complaints.some(({ check }) => check === id));
  return isComplete ? "expected" : "stale";
}

/** Entries for scenarios or columns that do not exist; each would excuse nothing for ever. */
export function findUnused(
  expected: readonly ExpectedFailure[],
  cells: readonly Cell[],
): readonly string[] {
  const known = new Set(cells.map(addressOf));
  return expected.flatMap(({ set, columns, scenarios }) =>
    columns
      .flatMap((column) => scenarios.map((scenario) => addressOf({ set, column, scenario })))
      .filter((address) => !known.has(address)),
  );
}

function addressOf({ set, column, scenario }: Pick<Cell, "set" | "column" | "scenario">): string {
  return `${set}, ${column}: ${scenario}`;
}

function covers({ set, columns, scenarios }: ExpectedFailure, cell: Cell): boolean {
  return set === cell.set && scenarios.includes(cell.scenario) && columns.includes(cell.column);
}

/** Checks that succeed straight to the server and are skipped here. */
function findHidden(
  checks: readonly Check[] = [],
  straight: readonly Check[] = [],
): readonly Complaint[] {
  const succeeding = new Set(
    straight.filter(({ status }) => status === "SUCCESS").map(({ id }) => id),
  );
  return checks
    .filter(({ id, status }) => status === "SKIPPED" && succeeding.has(id))
    .map(({ id }) => ({ check: id, text: `SKIPPED ${id}, which succeeds straight` }));
}

function findComplaints(checks: readonly Check[] | undefined): readonly Complaint[] {
  if (checks === undefined) return [{ check: "", text: "left no result" }];
  const bad = checks.filter(({ status }) => status === "FAILURE" || status === "WARNING");
  if (bad.length > 0) {
    return bad.map(({ status, id, errorMessage = "" }) => {
      return { check: id, text: `${status} ${id} ${errorMessage}`.trim() };
    });
  }
  const hasSuccess = checks.some(({ status }) => status === "SUCCESS");
  return hasSuccess ? [] : [{ check: "", text: "no check succeeded" }];
}
