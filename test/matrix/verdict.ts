/** What came of each cell against what was expected of it. Pure. */
import { type Exception, exceptions, findException } from "./exceptions.ts";
import type { Cell } from "./run.ts";

export interface Judged extends Cell {
  /** `stale`: it works, though the table of exceptions says that it does not. */
  readonly verdict: "works" | "impossible" | "gap" | "failed" | "stale";
  readonly exception: Exception | undefined;
}

export function judge(
  cells: readonly Cell[],
  all: readonly Exception[] = exceptions,
): readonly Judged[] {
  return cells.map((cell) => {
    const exception = findException(cell, all);
    return { ...cell, exception, verdict: verdictOf(cell, exception) };
  });
}

function verdictOf({ error }: Cell, exception: Exception | undefined): Judged["verdict"] {
  if (error === undefined) return exception === undefined ? "works" : "stale";
  return exception?.kind ?? "failed";
}

export function countOf(judged: readonly Judged[], verdict: Judged["verdict"]): number {
  return judged.filter((one) => one.verdict === verdict).length;
}

/** Why the run fails, a line for each cell. */
export function complaints(judged: readonly Judged[]): readonly string[] {
  return judged.flatMap(({ verdict, client, server, feature, error, exception }) => {
    const cell = `${client} to ${server}, ${feature}`;
    if (verdict === "failed") return [`${cell}: ${error}`];
    if (verdict === "stale") return [`${cell}: works, and is named ${exception?.kind}`];
    return [];
  });
}
