/**
 * The bytes of one record: the hashed envelope and the sealed part beside it, and how they hang together. The caller's
 * thread renders what it knows (`renderDraft`); the writer's thread adds sequence, previous leaf and commitment and
 * seals the values (`sealRecord`). Verification reads the envelope back with `parseEnvelope`.
 *
 * The values are never in the envelope, only a commitment to them (`commitment.ts`); they lie sealed beside it
 * (`sealing.ts`), so they can be destroyed and every hash stays valid.
 */
import type { AuditClass, RecordDraft } from "./record.ts";
import type { Sealer } from "./sealer.ts";

/** The previous leaf of a log's first record. */
export const genesisLeaf = "0".repeat(64);
/** Stands before an envelope under the hash (RFC 6962), so a leaf can never be mistaken for a tree node. */
export const leafPrefix = 0x00;

const shortenedLength = 512;

/** What the caller's thread knows of a record: two texts without a line break, and the pair of keys for the second. */
export interface RenderedDraft {
  /** Members of the envelope from `time` to `facts`. */
  readonly body: string;
  /** The values to commit to and to seal, as JSON. */
  readonly values: string;
}

export interface SealedRecord {
  readonly envelope: string;
  /** The sealed part; empty in the spool once it was erased. */
  readonly details: string;
}

export interface EnvelopeView {
  readonly v: number;
  readonly log: string;
  readonly seq: number;
  readonly prev: string;
  readonly time: number;
  readonly event: string;
  readonly class: AuditClass;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly commitment: string;
}

/** Renders a draft; one above `recordBytesMax` is kept with its long texts shortened, never dropped (ST-21). */
export function renderDraft(draft: RecordDraft, recordBytesMax: number): RenderedDraft {
  const facts = JSON.stringify(draft.facts);
  const values = JSON.stringify(draft.details);
  if (facts.length + values.length <= recordBytesMax) return renderTexts(draft, facts, values);
  return renderTexts(
    draft,
    JSON.stringify({ ...shorten(draft.facts), truncated: true }),
    JSON.stringify(shorten(draft.details)),
  );
}

function renderTexts(draft: RecordDraft, facts: string, values: string): RenderedDraft {
  return {
    body: `"time":${draft.timeMs},"event":"${draft.event}","class":"${draft.class}","facts":${facts}`,
    values,
  };
}

function shorten(values: RecordDraft["facts"]): RecordDraft["facts"] {
  const short: Record<string, string | number | boolean | null | undefined> = {};
  for (const [name, value] of Object.entries(values)) {
    short[name] =
      typeof value === "string" && value.length > shortenedLength
        ? `${value.slice(0, shortenedLength)}…`
        : value;
  }
  return short;
}

/** Puts a rendered draft in its place in the chain; `fresh` is 48 random bytes used for nothing else. */
export function sealRecord(
  sealer: Sealer,
  place: { readonly log: string; readonly seq: number; readonly prev: string },
  draft: RenderedDraft & { readonly pair: number },
  fresh: Uint8Array,
): SealedRecord {
  const { log, seq, prev } = place;
  const { body, values, pair } = draft;
  const { commitment, fields } = sealer.commit(values, fresh);
  return {
    envelope: `{"v":2,"log":"${log}","seq":${seq},"prev":"${prev}",${body},"commitment":"${commitment}"}`,
    details: sealer.seal({ log, seq, commitment, fields, values, pair, fresh }),
  };
}

/** The leaf of an envelope read back as text; the writer hashes the frame's own bytes instead. */
export function leafOf(envelope: string): string {
  return new Bun.CryptoHasher("sha256").update("\0").update(envelope).digest("hex");
}

/** Reads an envelope; undefined where the text is not one. */
export function parseEnvelope(text: string): EnvelopeView | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isEnvelope(parsed) ? parsed : undefined;
}

/** What recovery needs to know of an envelope. */
export interface EnvelopeHead extends Pick<EnvelopeView, "seq" | "prev" | "time" | "event"> {
  /** The intent that it closes. */
  readonly intent: number | undefined;
}

const headPattern =
  /^\{"v":2,"log":"[^"]{1,64}","seq":(\d{1,15}),"prev":"([0-9a-f]{64})","time":(\d{1,15}),"event":"([a-z_.]{1,64})",/;
const intentMember = '"intent":';

/** Reads what `sealRecord` wrote without parsing the rest, which costs a restart half of its time; all of what is odd. */
export function parseEnvelopeHead(text: string): EnvelopeHead | undefined {
  const [, seq, prev, time, event] = headPattern.exec(text) ?? [];
  if (prev !== undefined && event !== undefined) {
    return { seq: Number(seq), prev, time: Number(time), event, intent: findIntent(text) };
  }
  const whole = parseEnvelope(text);
  if (whole === undefined) return undefined;
  const { intent } = whole.facts;
  return { ...whole, intent: typeof intent === "number" ? intent : undefined };
}

/** A quotation mark within a text is escaped, so the member's name is found nowhere else. */
function findIntent(text: string): number | undefined {
  const at = text.indexOf(intentMember);
  if (at === -1) return undefined;
  const digits = text.slice(at + intentMember.length, at + intentMember.length + 17);
  return Number.parseInt(digits, 10) || undefined;
}

/** The sequence number of an envelope whose checksum was right, without parsing the rest; 0 where there is none. */
export function seqOf(envelope: string): number {
  // Only this gateway's own log id stands before it, so the first one found is the record's own.
  const at = envelope.indexOf('"seq":');
  return at === -1 ? 0 : Number.parseInt(envelope.slice(at + 6, at + 22), 10) || 0;
}

function isEnvelope(value: unknown): value is EnvelopeView {
  if (typeof value !== "object" || value === null) return false;
  const some = value as Partial<Record<keyof EnvelopeView, unknown>>;
  return (
    some.v === 2 &&
    typeof some.log === "string" &&
    Number.isSafeInteger(some.seq) &&
    typeof some.prev === "string" &&
    typeof some.time === "number" &&
    typeof some.event === "string" &&
    typeof some.commitment === "string" &&
    typeof some.facts === "object" &&
    some.facts !== null
  );
}
