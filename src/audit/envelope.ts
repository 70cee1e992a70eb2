/**
 * The bytes of one record: the hashed envelope and the deletable details beside it, and how they hang together.
 * The caller's thread renders what it knows (`renderDraft`); the writer's thread adds sequence, previous leaf and
 * commitment (`sealRecord`). Verification reads the same texts back with `parseEnvelope` and `opensCommitment`.
 *
 * Details are `{"r":"<64 hex>","values":{..}}`. The commitment is HMAC-SHA256(r, bytes of values): with `r` gone
 * nobody can test a guess against it. The bytes of `values` are cut out by position, never re-serialised.
 */
import type { AuditClass, RecordDraft } from "./record.ts";

/** The previous leaf of a log's first record. */
export const genesisLeaf = "0".repeat(64);
export const randomBytesPerRecord = 32;
/** Stands before an envelope under the hash (RFC 6962), so a leaf can never be mistaken for a tree node. */
export const leafPrefix = 0x00;

const valuesOffset = '{"r":"'.length + 64 + '","values":'.length;
const shortenedLength = 512;

/** What the caller's thread knows of a record: three texts without a line break. */
export interface RenderedDraft {
  /** Members of the envelope from `time` to `facts`. */
  readonly body: string;
  /** The values to commit to, as JSON. */
  readonly values: string;
}

export interface SealedRecord {
  readonly envelope: string;
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

/** Puts a rendered draft in its place in the chain; `random` is 32 fresh bytes used for nothing else. */
export function sealRecord(
  logId: string,
  seq: number,
  prev: string,
  draft: RenderedDraft,
  random: Uint8Array,
): SealedRecord {
  const commitment = commit(random, draft.values);
  return {
    envelope: `{"v":1,"log":"${logId}","seq":${seq},"prev":"${prev}",${draft.body},"commitment":"${commitment}"}`,
    details: `{"r":"${Buffer.from(random).toString("hex")}","values":${draft.values}}`,
  };
}

function commit(random: Uint8Array, values: string): string {
  return new Bun.CryptoHasher("sha256", random).update(values).digest("hex");
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
    some.v === 1 &&
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

/** The committed values, or undefined where the text is not a details part. */
export function parseDetails(details: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(details.slice(valuesOffset, -1));
    return typeof parsed === "object" && parsed !== null
      ? (parsed as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether these details are the ones the envelope committed to. */
export function opensCommitment(commitment: string, details: string): boolean {
  const random = Buffer.from(details.slice(6, 70), "hex");
  if (random.length !== randomBytesPerRecord) return false;
  return commit(random, details.slice(valuesOffset, -1)) === commitment;
}
