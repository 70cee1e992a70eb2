/**
 * What counts as clean, and what an expected failure excuses. A scenario is clean where no check failed or warned and
 * at least one succeeded: a dead endpoint fails few checks, because most are never reached.
 */
import type { Check } from "./official-suite.ts";

export interface ExpectedFailure {
  readonly set: string;
  /** Columns it holds for. */
  readonly columns: readonly string[];
  readonly scenario: string;
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

/** `stale` is an expected failure that is clean now: the entry must go. */
export type Verdict = "clean" | "failed" | "expected" | "stale";

export interface Judged extends Cell {
  readonly verdict: Verdict;
  /** The checks that were in the way, one line each; empty where clean. */
  readonly complaints: readonly string[];
  readonly reason?: string;
}

export function judge(cell: Cell, expected: readonly ExpectedFailure[]): Judged {
  const complaints = findComplaints(cell.checks);
  const entry = expected.find((one) => covers(one, cell));
  const isClean = complaints.length === 0;
  if (entry === undefined) return { ...cell, complaints, verdict: isClean ? "clean" : "failed" };
  const { reason } = entry;
  return { ...cell, complaints, reason, verdict: isClean ? "stale" : "expected" };
}

/** Entries for scenarios or columns that do not exist; each would excuse nothing for ever. */
export function findUnused(
  expected: readonly ExpectedFailure[],
  cells: readonly Cell[],
): readonly string[] {
  return expected.flatMap(({ set, columns, scenario }) =>
    columns
      .filter(
        (column) =>
          !cells.some((cell) => covers({ set, columns: [column], scenario, reason: "" }, cell)),
      )
      .map((column) => `${set}: no scenario ${scenario} in column "${column}"`),
  );
}

function covers({ set, columns, scenario }: ExpectedFailure, cell: Cell): boolean {
  return set === cell.set && scenario === cell.scenario && columns.includes(cell.column);
}

function findComplaints(checks: readonly Check[] | undefined): readonly string[] {
  if (checks === undefined) return ["left no result"];
  const bad = checks.filter(({ status }) => status === "FAILURE" || status === "WARNING");
  if (bad.length > 0) {
    return bad.map(({ status, id, errorMessage = "" }) => `${status} ${id} ${errorMessage}`.trim());
  }
  return checks.some(({ status }) => status === "SUCCESS") ? [] : ["no check succeeded"];
}
