/**
 * Sets of sequence numbers as short text (`1-4,7`), and the digest of a set of leaves. Retention writes them into
 * its records, verification reads them back.
 */
import { createHash } from "node:crypto";

/** `1-4,7` for 1, 2, 3, 4 and 7. */
export function renderSeqs(seqs: readonly number[]): string {
  const parts: string[] = [];
  const sorted = seqs.toSorted((a, b) => a - b);
  for (let at = 0; at < sorted.length; at += 1) {
    const from = sorted[at] ?? 0;
    while (sorted[at + 1] === (sorted[at] ?? 0) + 1) at += 1;
    const to = sorted[at] ?? 0;
    parts.push(from === to ? `${from}` : `${from}-${to}`);
  }
  return parts.join(",");
}

export interface SeqRange {
  readonly from: number;
  readonly to: number;
}

/** The ranges in a text of `renderSeqs`, in its order; undefined where it is not one. */
export function parseRanges(text: string): readonly SeqRange[] | undefined {
  const ranges: SeqRange[] = [];
  for (const part of text.split(",")) {
    const match = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(part);
    if (match === null) return undefined;
    const from = Number(match[1]);
    const to = Number(match[2] ?? match[1]);
    if (to < from) return undefined;
    ranges.push({ from, to });
  }
  return ranges;
}

/** The numbers in such a text; undefined where it is none or holds more than `countMax`. */
export function parseSeqs(text: string, countMax: number): readonly number[] | undefined {
  const seqs: number[] = [];
  for (const { from, to } of parseRanges(text) ?? []) {
    if (seqs.length + to - from >= countMax) return undefined;
    for (let seq = from; seq <= to; seq += 1) seqs.push(seq);
  }
  return seqs.length === 0 ? undefined : seqs;
}

/** SHA-256 over the sorted leaves (hex, one a line). */
export function digestLeaves(leaves: readonly string[]): string {
  return createHash("sha256").update(leaves.toSorted().join("\n")).digest("hex");
}
