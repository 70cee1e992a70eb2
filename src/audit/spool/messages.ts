/**
 * What the spool's two threads say to each other. A batch of records is one string, the cheapest thing to post:
 * three lines a record (mark and pair, body, values), which JSON texts keep apart because they hold no line break. A
 * pair of keys is posted once, before the first batch that names it.
 */
import type { IndexKey, SealingPair } from "../../vault/keys.ts";
import type { RenderedDraft } from "../envelope.ts";
import type { DurabilityLevel, RecordDraft } from "../record.ts";
import type { SpoolDamage } from "./recover.ts";

export interface SpoolWriterOptions {
  readonly segmentBytesMax: number;
  /** Room kept for the day the disk is full. */
  readonly reserveBytesMax: number;
  /** How often a full disk is tried again. */
  readonly probeIntervalMs: number;
}

/** Which records under keys are looked for: those after one number and up to another, at most so many. */
export interface Look {
  readonly afterSeq: number;
  readonly untilSeq: number;
  readonly framesMax: number;
}

/** A record that the spool holds with its sealed part. */
export interface SealedFrame {
  readonly seq: number;
  readonly leaf: string;
}

/** What a look found, and the number it came to: the next one goes on after that. */
export interface SealedPage {
  readonly found: readonly SealedFrame[];
  readonly seq: number;
}

export type ToSpool =
  | string
  | {
      readonly kind: "open";
      readonly dir: string;
      readonly logId: string;
      readonly options: SpoolWriterOptions;
    }
  | { readonly kind: "pair"; readonly pair: SealingPair }
  /** No later batch names the pair. */
  | { readonly kind: "forget"; readonly ref: number }
  | { readonly kind: "index"; readonly index: IndexKey }
  | { readonly kind: "remove"; readonly firstSeq: number }
  /** Everything that lies under the keys is to be emptied. */
  | { readonly kind: "shred"; readonly keys: readonly string[] }
  | ({ readonly kind: "look"; readonly keys: readonly string[] } & Look)
  | { readonly kind: "tail"; readonly on: boolean }
  | { readonly kind: "close" };

/** The next `count` records posted are in the file, from `firstSeq` on. */
export interface Written {
  readonly firstSeq: number;
  readonly count: number;
  /** Somebody may wait for no more than this. */
  readonly isAwaited: boolean;
}

export type FromSpool =
  | {
      readonly kind: "opened";
      readonly lastSeq: number;
      readonly lastLeaf: string;
      /** Undefined where the last record is in no segment that was read. */
      readonly lastTimeMs: number | undefined;
      readonly openIntents: readonly number[];
      readonly damage: readonly SpoolDamage[];
      readonly spoolBytes: number;
    }
  | { readonly kind: "not-opened"; readonly message: string }
  | ({ readonly kind: "written" } & Written)
  /** The next `count` records posted are not in the log. */
  | { readonly kind: "unwritten"; readonly count: number; readonly reason: string }
  | {
      readonly kind: "synced";
      readonly seq: number;
      readonly seconds: number;
      readonly spoolBytes: number;
      /** The frames that became durable, where somebody tails. */
      readonly frames: readonly Uint8Array[] | undefined;
      /** To be taken as said before it: see `packing.ts`. */
      readonly written: Written | undefined;
    }
  /** A sync failed: nothing up to `seq` that was not synced before may be called durable. */
  | { readonly kind: "unsynced"; readonly seq: number; readonly reason: string }
  /** The disk is full, or has room again. */
  | { readonly kind: "room"; readonly isFull: boolean; readonly reason: string }
  | { readonly kind: "removed"; readonly spoolBytes: number }
  | { readonly kind: "not-removed"; readonly firstSeq: number; readonly reason: string }
  /** Every segment ended before the request holds nothing any more that its keys open: so many frames did. */
  | { readonly kind: "shredded"; readonly frames: number }
  | { readonly kind: "not-shredded"; readonly reason: string }
  | ({ readonly kind: "looked" } & SealedPage)
  | { readonly kind: "not-looked"; readonly reason: string }
  | { readonly kind: "closed" };

/** `i` opens an intent, `o<seq>` closes one, nothing does neither; `!` before it: somebody waits for the sync. */
export type RecordMark = `${"!" | ""}${"i" | "" | `o${number}`}`;

export function markOf(draft: RecordDraft, level: DurabilityLevel): RecordMark {
  const urgency = level === "synced" || level === "copied" ? "!" : "";
  if (draft.event === "call.intent") return `${urgency}i`;
  return typeof draft.facts.intent === "number" ? `${urgency}o${draft.facts.intent}` : urgency;
}

export interface BatchRecord {
  readonly isUrgent: boolean;
  readonly opensIntent: boolean;
  readonly closesIntent: number | undefined;
  readonly draft: RenderedDraft & { readonly pair: number };
}

/** `pair` is the reference of the keys that seal the values; 0 where there is none to seal. */
export function renderLines(mark: RecordMark, pair: number, draft: RenderedDraft): string {
  return `${mark} ${pair}\n${draft.body}\n${draft.values}`;
}

/** The records of a batch: what `renderLines` made, joined by line breaks. */
export function parseBatch(batch: string): readonly BatchRecord[] {
  const lines = batch.split("\n");
  const records: BatchRecord[] = [];
  for (let at = 0; at + 2 < lines.length; at += 3) {
    const line = lines[at] ?? "";
    const isUrgent = line.startsWith("!");
    const end = line.indexOf(" ");
    const mark = line.slice(isUrgent ? 1 : 0, end);
    const pair = Number(line.slice(end + 1));
    records.push({
      isUrgent,
      opensIntent: mark === "i",
      closesIntent: mark.startsWith("o") ? Number(mark.slice(1)) : undefined,
      draft: { body: lines[at + 1] ?? "", values: lines[at + 2] ?? "", pair },
    });
  }
  return records;
}
