/**
 * Reads what verification needs from the database's copy, a page at a time: orders and starts first, then the records
 * in their order, opened where keys are at hand. Rows are taken as they are, and derived again to be compared.
 */
import type { AuditRow, AuditStore } from "../../storage/store.ts";
import { leafOf, parseEnvelope } from "../envelope.ts";
import type { Opener, SealState } from "../opener.ts";
import { toAuditRow } from "../row.ts";
import { type Landmark, landmarkEvents, toLandmark } from "./orders.ts";
import { partOf } from "./read-spool.ts";
import type { PartState, VerifiableRecord } from "./verifiable-record.ts";

const pageRows = 500;

/** The orders and starts of all logs. */
export async function findStoredLandmarks(
  store: Pick<AuditStore, "scan">,
): Promise<readonly Landmark[]> {
  const found: Landmark[] = [];
  for (const event of landmarkEvents) {
    for await (const rows of scanPages(store, { event }, undefined)) {
      for (const { envelope } of rows) {
        const landmark = envelope === null ? undefined : toLandmark(envelope, leafOf(envelope));
        if (landmark !== undefined) found.push(landmark);
      }
    }
  }
  return found;
}

export interface StoredRecord {
  readonly record: VerifiableRecord;
  /** What of the row does not say what the record says. */
  readonly problem: string | undefined;
  /** There is an envelope, but it is none. */
  readonly isUnreadable: boolean;
}

/** All records of a log in the order of their places. */
export async function* readStoredRecords(
  store: Pick<AuditStore, "scan">,
  logId: string,
  opener: Opener | undefined,
): AsyncGenerator<StoredRecord> {
  for await (const rows of scanPages(store, {}, { logId, seq: 0 })) {
    const own = rows.filter((row) => row.logId === logId);
    const opened = opener === undefined ? undefined : await opener.open(own);
    for (const [index, row] of own.entries()) {
      const state = opened?.[index]?.state;
      const isMisnamed = state === "sealed" && (await opener?.isMisnamed(row)) === true;
      const record = toRecord(row, isMisnamed ? "broken" : state);
      const isUnreadable = row.envelope !== null && record.envelope === undefined;
      yield { record, problem: findColumn(row), isUnreadable };
    }
    if (own.length < rows.length) return;
  }
}

function toRecord(row: AuditRow, state: SealState | undefined): VerifiableRecord {
  const { seq, leaf, details } = row;
  const envelope = row.envelope === null ? undefined : parseEnvelope(row.envelope);
  return {
    seq: envelope?.seq ?? seq,
    place: seq,
    envelope,
    leaf: row.envelope === null ? leaf : leafOf(row.envelope),
    storedLeaf: leaf,
    part: toPart(details, state),
  };
}

function toPart(details: string | null, state: SealState | undefined): PartState {
  const part = partOf(details);
  if (part !== "sealed" || state === undefined) return part;
  return state === "open" ? "opened" : state === "broken" ? "broken" : "sealed";
}

/** The columns people search by must say what the record says (ST-06). */
function findColumn(row: AuditRow): string | undefined {
  const { envelope, details, leaf } = row;
  if (envelope === null) return findLeftOver(row);
  const derived = toAuditRow({ envelope, details: details ?? "", leaf });
  if (derived === undefined) return undefined;
  const names = Object.keys(derived) as (keyof AuditRow)[];
  const different = names.find((name) => name !== "details" && derived[name] !== row[name]);
  return different && `its column ${different} does not say what the record says`;
}

/** A pruned row keeps its place and its leaf. */
function findLeftOver({ details }: AuditRow): string | undefined {
  return details === null ? undefined : "its sealed part outlived it";
}

async function* scanPages(
  store: Pick<AuditStore, "scan">,
  filter: Parameters<AuditStore["scan"]>[0]["filter"],
  start: { readonly logId: string; readonly seq: number } | undefined,
): AsyncGenerator<readonly AuditRow[]> {
  let after = start;
  do {
    const page = await store.scan({
      filter,
      ...(after === undefined ? {} : { after }),
      limit: pageRows,
      order: "ascending",
      includePruned: true,
    });
    yield page.rows;
    after = page.next;
  } while (after !== undefined);
}
