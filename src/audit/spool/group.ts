/**
 * Turns a batch of records into the bytes that are written together: a mark of how far the log is synced where that
 * has changed, then a frame for each record, numbered and chained. Used by the writer; keeps one buffer for all groups.
 */
import { sealRecord } from "../envelope.ts";
import { freshBytesPerRecord, type Sealer } from "../sealer.ts";
import { encodeMark, recordFrameBytesMax, writeRecord } from "./format.ts";
import type { BatchRecord } from "./messages.ts";
import { createRandomPool } from "./random-pool.ts";

/** A record's place in the chain. */
export interface Place {
  readonly seq: number;
  readonly leaf: string;
}

export interface Group {
  /** Valid until the next group is encoded. */
  readonly bytes: Uint8Array;
  /** Where the records begin, behind the mark. */
  readonly recordsFrom: number;
  readonly last: Place;
}

export interface GroupEncoder {
  /** `marked`: the record up to which all is synced, where no mark says so yet. */
  encode(records: readonly BatchRecord[], after: Place, marked: number | undefined): Group;
}

const scratchBytes = 256 * 1024;

export function createGroupEncoder(logId: string, sealer: Sealer): GroupEncoder {
  let scratch: Buffer = Buffer.allocUnsafeSlow(scratchBytes);
  const nextFresh = createRandomPool(freshBytesPerRecord);

  function encode(records: readonly BatchRecord[], after: Place, marked: number | undefined) {
    const recordsFrom = marked === undefined ? 0 : encodeMark(marked).copy(scratch);
    let end = recordsFrom;
    let { seq, leaf } = after;
    for (const { draft } of records) {
      seq += 1;
      const fresh = nextFresh();
      const sealed = sealRecord(sealer, { log: logId, seq, prev: leaf }, draft, fresh);
      // Who knows the random can test guesses, so after an erasure it may lie nowhere any more.
      fresh.fill(0);
      const needed = end + recordFrameBytesMax(sealed);
      if (needed > scratch.length) scratch = grow(scratch, needed);
      const written = writeRecord(scratch, end, sealed);
      end = written.end;
      leaf = written.leaf;
    }
    return { bytes: scratch.subarray(0, end), recordsFrom, last: { seq, leaf } };
  }

  return { encode };
}

function grow(buffer: Buffer, needed: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.max(needed, buffer.length * 2));
  buffer.copy(larger);
  return larger;
}

/** The frames of a group's records, without the mark before them. */
export function recordFramesOf({ bytes, recordsFrom }: Group): Uint8Array {
  return bytes.subarray(recordsFrom);
}
