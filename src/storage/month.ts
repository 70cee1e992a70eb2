/**
 * Calendar months of UTC: a month is one part of the audit copy on PostgreSQL. Pure; used by the partitions' files.
 */
export interface Month {
  /** Such as `2026_11`. */
  readonly name: string;
  /** Inclusive. */
  readonly fromMs: number;
  /** Exclusive. */
  readonly untilMs: number;
}

/** The month that a wall-clock time lies in. */
export function monthOf(timeMs: number): Month {
  const time = new Date(timeMs);
  return toMonth(time.getUTCFullYear(), time.getUTCMonth());
}

/** The months of a span of time, in order, with `ahead` more behind its end. */
export function monthsBetween(fromMs: number, untilMs: number, ahead: number): readonly Month[] {
  const months: Month[] = [];
  const last = monthAfter(monthOf(untilMs), ahead);
  for (let month = monthOf(fromMs); month.fromMs <= last.fromMs; month = monthAfter(month, 1)) {
    months.push(month);
  }
  return months;
}

/** The month so many after this one. */
export function monthAfter({ fromMs }: Month, count: number): Month {
  const time = new Date(fromMs);
  return toMonth(time.getUTCFullYear(), time.getUTCMonth() + count);
}

function toMonth(year: number, month: number): Month {
  const fromMs = Date.UTC(year, month, 1);
  const untilMs = Date.UTC(year, month + 1, 1);
  const name = new Date(fromMs).toISOString().slice(0, 7).replace("-", "_");
  return { name, fromMs, untilMs };
}
