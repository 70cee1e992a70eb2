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
): readonly string[] {
  const succeeding = new Set(
    straight.filter(({ status }) => status === "SUCCESS").map(({ id }) => id),
  );
  return checks
    .filter(({ id, status }) => status === "SKIPPED" && succeeding.has(id))
    .map(({ id }) => `SKIPPED ${id}, which succeeds straight`);
}

function findComplaints(checks: readonly Check[] | undefined): readonly string[] {
  if (checks === undefined) return ["left no result"];
  const bad = checks.filter(({ status }) => status === "FAILURE" || status === "WARNING");
  if (bad.length > 0) {
    return bad.map(({ status, id, errorMessage = "" }) => `${status} ${id} ${errorMessage}`.trim());
  }
  return checks.some(({ status }) => status === "SUCCESS") ? [] : ["no check succeeded"];
}
