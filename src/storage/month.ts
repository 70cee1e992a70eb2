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

/** The months that these times lie in, each once, the newest last; at most so many of them. */
export function monthsOfTimes(timesMs: readonly number[], countMax: number): readonly Month[] {
  const months = new Map<number, Month>();
  let current: Month | undefined;
  for (const timeMs of timesMs) {
    // Rows come in order, so nearly all are of the month of the one before.
    if (current !== undefined && timeMs >= current.fromMs && timeMs < current.untilMs) continue;
    current = monthOf(timeMs);
    months.set(current.fromMs, current);
    if (months.size === countMax) break;
  }
  return [...months.values()].sort((a, b) => a.fromMs - b.fromMs);
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
