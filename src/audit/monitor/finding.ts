/**
 * What the monitor finds wrong, in words that records and metrics share, and how findings about neighbours become one.
 */

export type FindingPlace = "database" | "spool" | "tree";

export type FindingKind =
  /** Bytes, leaf or a search column are not those that were recorded. */
  | "edited"
  /** Not there, and no order says that it may be gone. */
  | "deleted"
  /** There, although this log never recorded it. */
  | "inserted"
  /** The segment's bytes cannot be read. */
  | "damaged"
  /** The tiles do not lead to the checkpoint's root. */
  | "root";

export interface Finding {
  readonly place: FindingPlace;
  readonly kind: FindingKind;
  readonly seq: number;
}

/** Consecutive records of one kind in one place. */
export interface FindingRange {
  readonly place: FindingPlace;
  readonly kind: FindingKind;
  readonly from: number;
  readonly to: number;
}

export function keyOf({ place, kind, seq }: Finding): string {
  return `${place} ${kind} ${seq}`;
}

export function toRanges(findings: readonly Finding[]): readonly FindingRange[] {
  const ranges: FindingRange[] = [];
  const sorted = findings.toSorted((a, b) =>
    a.place === b.place && a.kind === b.kind ? a.seq - b.seq : compare(a, b),
  );
  for (const { place, kind, seq } of sorted) {
    const last = ranges.at(-1);
    if (last?.place === place && last.kind === kind && last.to === seq - 1) {
      ranges[ranges.length - 1] = { ...last, to: seq };
    } else ranges.push({ place, kind, from: seq, to: seq });
  }
  return ranges;
}

function compare(a: Finding, b: Finding): number {
  return `${a.place} ${a.kind}` < `${b.place} ${b.kind}` ? -1 : 1;
}
