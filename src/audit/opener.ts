/**
 * Opens records for readers: fetches the keys of a batch of rows at once, opens each sealed part, holds the values
 * against the envelope's commitment, and says of what does not open why. Used by whatever reads the copy: searching,
 * exporting, following, replaying.
 */
import type { AuditRow } from "../storage/store.ts";
import type { OpeningKey, OpeningKeys, PairId } from "../vault/keys.ts";
import { commitFields, type Fields } from "./commitment.ts";
import { type EnvelopeView, parseEnvelope } from "./envelope.ts";
import { createNearKeys } from "./near-keys.ts";
import { type OpenedValues, openPart, parsePart, type SealedPart } from "./sealing.ts";

/**
 * open: the values are there. sealed: this vault has no key for them, or cannot be asked. shredded: a key or the sealed
 * part was destroyed. pruned: retention deleted the record. broken: what lies there is not what was committed to.
 */
export type SealState = "open" | "sealed" | "shredded" | "pruned" | "broken";

export interface OpenedRow {
  /** With principal, client and session in clear; null where they are not open. */
  readonly row: AuditRow;
  readonly state: SealState;
  readonly values: Fields;
  /** What the fields' randoms derive from, for an opening proof: where it was asked for, and the values are open. */
  readonly random: Uint8Array | undefined;
}

export interface Opener {
  /** In the order given. A vault that cannot be asked leaves rows sealed; nothing rejects. */
  open(rows: readonly AuditRow[], keep?: "randoms"): Promise<readonly OpenedRow[]>;
  /** Whether a row that reads sealed does so only because an id of its keys was damaged. */
  isMisnamed(row: AuditRow): Promise<boolean>;
}

interface Sealed {
  readonly envelope: EnvelopeView;
  readonly part: SealedPart;
}

const noValues: Fields = Object.freeze({});

export function createOpener(keys: Pick<OpeningKeys, "openingKeys">): Opener {
  const nearKeys = createNearKeys(keys);
  return {
    async isMisnamed(row) {
      const read = readRow(row);
      return typeof read === "object" && (await nearKeys.isMisnamed(read.envelope, read.part));
    },
    async open(rows, keep) {
      const read = rows.map(readRow);
      const sealed = read.filter((one) => typeof one === "object");
      const found = await fetchKeys(keys, sealed);
      let next = 0;
      const opened = rows.map((row, index) => {
        const one = read[index] ?? "broken";
        if (typeof one === "string") return closed(row, one);
        const key = found[next] ?? "unknown";
        next += 1;
        return openRow(row, one, key, keep);
      });
      for (const key of found) if (typeof key !== "string") key.fill(0);
      return opened;
    },
  };
}

/** The sealed part of a row with what it is bound to, or the state of a row that has none. */
function readRow(row: AuditRow): Sealed | SealState {
  if (row.envelope === null) return "pruned";
  if (row.details === null || row.details === "") return "shredded";
  const envelope = parseEnvelope(row.envelope);
  const part = parsePart(row.details);
  if (envelope === undefined || part === undefined) return "broken";
  return part === "empty" ? "open" : { envelope, part };
}

async function fetchKeys(
  keys: Pick<OpeningKeys, "openingKeys">,
  sealed: readonly Sealed[],
): Promise<readonly OpeningKey[]> {
  if (sealed.length === 0) return [];
  const pairs = sealed.map(({ part }): PairId => ({ subject: part.subject, class: part.class }));
  return await keys.openingKeys(pairs).catch(() => []);
}

function openRow(
  row: AuditRow,
  { envelope, part }: Sealed,
  key: OpeningKey,
  keep: "randoms" | undefined,
): OpenedRow {
  if (key === "destroyed") return closed(row, "shredded");
  if (key === "unknown") return closed(row, "sealed");
  const opened = openSealed(envelope, part, key);
  if (opened === undefined) return closed(row, "broken");
  const { values, random } = opened;
  const shown = { row: withNames(row, values), state: "open", values } as const;
  if (keep === "randoms") return { ...shown, random };
  // With it guesses can be tested, so it stays nowhere where it is not needed.
  random.fill(0);
  return { ...shown, random: undefined };
}

/** The values of a sealed part, held against the commitment; undefined where they are not those. */
export function openSealed(
  envelope: EnvelopeView,
  part: SealedPart,
  key: Uint8Array,
): OpenedValues | undefined {
  const opened = openPart(envelope, part, key);
  if (opened === undefined) return undefined;
  const isCommitted = commitFields(opened.random, opened.values) === envelope.commitment;
  return isCommitted ? opened : undefined;
}

/** A row none of whose values is to be seen, with the state that says why. */
export function closed(row: AuditRow, state: SealState): OpenedRow {
  return { row: withNames(row, noValues), state, values: noValues, random: undefined };
}

function withNames(row: AuditRow, values: Fields): AuditRow {
  return {
    ...row,
    principal: nameOf(values.principal),
    client: nameOf(values.client),
    session: nameOf(values.session),
  };
}

function nameOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
