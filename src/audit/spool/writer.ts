/**
 * The single writer of the spool: numbers records, chains them, appends them and syncs them in groups. Runs on the
 * spool's thread (`worker.ts`). Group commit clocks itself: while one sync runs, arrivals are written and
 * form the next group.
 *
 * A failed sync poisons its segment: nothing is ever synced there again (ST-09). Records already written keep
 * their numbers, because somebody may hold them, and open the next segment; so the chain has no hole and no fork.
 */
import { statSync, unlinkSync } from "node:fs";
import type { Clock } from "../../lib/clock.ts";
import { sealRecord } from "../envelope.ts";
import { freshBytesPerRecord, type Sealer } from "../sealer.ts";
import {
  listSegments,
  lockSpool,
  markDamaged,
  prepareSpoolDir,
  segmentPath,
  syncDir,
} from "./files.ts";
import { encodeHeader, recordFrameBytesMax, writeRecord } from "./format.ts";
import {
  type BatchRecord,
  type FromSpool,
  parseBatch,
  type SpoolWriterOptions,
} from "./messages.ts";
import { createRandomPool } from "./random-pool.ts";
import { recoverSpool } from "./recover.ts";
import {
  createSegment,
  type OpenSegment,
  reopenSegment,
  retireSegment,
  type SpoolDisk,
  writeFully,
} from "./segment.ts";

export interface SpoolWriterDeps {
  readonly dir: string;
  readonly logId: string;
  readonly disk: SpoolDisk;
  readonly clock: Clock;
  readonly sealer: Sealer;
  readonly emit: (message: FromSpool) => void;
  readonly options: SpoolWriterOptions;
}

export interface SpoolWriter {
  /** Appends a batch (see `messages.ts`) and reports `written` or `unwritten`, then `synced`. */
  append(batch: string): void;
  /** Deletes a shipped segment; the one being written stays. */
  remove(firstSeq: number): void;
  /** Whether `synced` reports carry the frames. */
  tail(on: boolean): void;
  close(): void;
}

interface Place {
  readonly seq: number;
  readonly leaf: string;
}

interface Chunk {
  readonly bytes: Uint8Array;
  readonly last: Place;
}

const scratchBytes = 256 * 1024;
/** Longest time a record lies unsynced that only had to be written. */
const lazySyncMs = 20;

/** Opens the spool, recovers it and reports `opened`. Throws where it cannot be used. */
export function openSpoolWriter(deps: SpoolWriterDeps): SpoolWriter {
  const { dir, disk, clock, sealer, emit, options } = deps;
  prepareSpoolDir(dir);
  const unlock = lockSpool(dir);
  let scratch: Buffer = Buffer.allocUnsafeSlow(scratchBytes);
  const nextFresh = createRandomPool(freshBytesPerRecord);

  const recovered = recoverOrUnlock();
  const openIntents = new Set(recovered.openIntents);
  let last: Place = { seq: recovered.lastSeq, leaf: recovered.lastLeaf };
  let synced = last;
  /** Written but not synced: what the next segment must open with if this one fails. */
  let unsynced: Chunk[] = [];
  let segment: OpenSegment | undefined;
  let spoolBytes = sumBytes();
  let isTailed = false;
  /** Somebody waits for what is unsynced. */
  let isSyncWanted = false;
  let lazySync: ReturnType<typeof setTimeout> | undefined;

  openFirst();
  emit({
    kind: "opened",
    lastSeq: last.seq,
    lastLeaf: last.leaf,
    openIntents: recovered.openIntents,
    damage: recovered.damage,
    spoolBytes,
  });
  return { append, remove, tail, close };

  function recoverOrUnlock() {
    try {
      return recoverSpool(dir);
    } catch (error) {
      unlock();
      throw error;
    }
  }

  function openFirst(): void {
    try {
      const { active } = recovered;
      for (const { segment: path } of recovered.damage) markDamaged(path);
      if (active === undefined) openSegment();
      else segment = reopenSegment(active.path, active.firstSeq, active.soundEnd);
      spoolBytes = sumBytes();
    } catch (error) {
      unlock();
      throw error;
    }
  }

  function sumBytes(): number {
    return listSegments(dir).reduce((sum, { path }) => sum + statSync(path).size, 0);
  }

  function openSegment(): OpenSegment {
    const header = encodeHeader({
      v: 2,
      log: deps.logId,
      firstSeq: synced.seq + 1,
      prev: synced.leaf,
      openIntents: [...openIntents],
    });
    const carried = unsynced.map((chunk) => chunk.bytes);
    segment = createSegment(disk, dir, synced.seq + 1, [header, ...carried]);
    spoolBytes = sumBytes();
    if (unsynced.length > 0) reportSynced(unsynced.length, 0);
    return segment;
  }

  function append(batch: string): void {
    const records = parseBatch(batch);
    const firstSeq = last.seq + 1;
    try {
      writeGroup(records);
    } catch (error) {
      emit({ kind: "unwritten", count: records.length, reason: reasonOf(error) });
      return;
    }
    noteIntents(records, firstSeq);
    emit({ kind: "written", firstSeq, count: records.length });
    if (records.some((record) => record.isUrgent)) isSyncWanted = true;
    else lazySync ??= setTimeout(syncLazily, lazySyncMs);
    advance();
  }

  /**
   * Syncs what somebody waits for, or ends a full segment. Never both at once: the kernel reports a failed write-back
   * to one sync only, and the other would call durable what is lost.
   */
  function advance(): void {
    if (segment === undefined || segment.isSyncing) return;
    if (segment.size >= options.segmentBytesMax) roll();
    else if (isSyncWanted) startSync(segment);
  }

  /** Writes all of the group or throws; nothing counts as written before its last byte is. */
  function writeGroup(records: readonly BatchRecord[]): void {
    const into = segment ?? openSegment();
    const group = encodeGroup(records);
    writeFully(disk, into, scratch, group.end);
    spoolBytes += group.end;
    unsynced.push({ bytes: new Uint8Array(scratch.subarray(0, group.end)), last: group.last });
    last = group.last;
  }

  function encodeGroup(records: readonly BatchRecord[]): { end: number; last: Place } {
    let end = 0;
    let { seq, leaf } = last;
    for (const { draft } of records) {
      seq += 1;
      const place = { log: deps.logId, seq, prev: leaf };
      const sealed = sealRecord(sealer, place, draft, nextFresh());
      const needed = end + recordFrameBytesMax(sealed);
      if (needed > scratch.length) scratch = grow(scratch, needed);
      const written = writeRecord(scratch, end, sealed);
      end = written.end;
      leaf = written.leaf;
    }
    return { end, last: { seq, leaf } };
  }

  function noteIntents(records: readonly BatchRecord[], firstSeq: number): void {
    records.forEach(({ opensIntent, closesIntent }, index) => {
      if (opensIntent) openIntents.add(firstSeq + index);
      else if (closesIntent !== undefined) openIntents.delete(closesIntent);
    });
  }

  /** For what nobody waits for; the next sync that somebody wants takes it along. */
  function syncLazily(): void {
    lazySync = undefined;
    isSyncWanted = true;
    advance();
  }

  function startSync(syncing: OpenSegment): void {
    clearTimeout(lazySync);
    lazySync = undefined;
    isSyncWanted = false;
    if (unsynced.length === 0) return;
    syncing.isSyncing = true;
    const count = unsynced.length;
    const startedMs = clock.monotonicMs();
    disk.sync(syncing.fd, (error) => {
      syncing.isSyncing = false;
      if (syncing.isRetired) retireSegment(syncing);
      else if (error !== null) poison(error);
      else {
        reportSynced(count, (clock.monotonicMs() - startedMs) / 1000);
        advance();
      }
    });
  }

  function reportSynced(count: number, seconds: number): void {
    const done = unsynced.slice(0, count);
    unsynced = unsynced.slice(count);
    synced = done.at(-1)?.last ?? synced;
    const frames = isTailed ? done.map((chunk) => chunk.bytes) : undefined;
    emit({ kind: "synced", seq: synced.seq, seconds, spoolBytes, frames });
  }

  function poison(error: unknown): void {
    if (segment !== undefined) retireSegment(segment);
    segment = undefined;
    emit({ kind: "unsynced", seq: last.seq, reason: reasonOf(error) });
  }

  /** The old segment is synced whole before the new one begins: durability never runs ahead of order. */
  function roll(): void {
    if (segment === undefined) return;
    try {
      const startedMs = clock.monotonicMs();
      disk.syncNow(segment.fd);
      reportSynced(unsynced.length, (clock.monotonicMs() - startedMs) / 1000);
    } catch (error) {
      poison(error);
      return;
    }
    retireSegment(segment);
    // The next append opens the new segment, and reports it if that fails.
    segment = undefined;
  }

  function remove(firstSeq: number): void {
    const segments = listSegments(dir);
    const isOld = segments.slice(0, -1).some((one) => one.firstSeq === firstSeq);
    try {
      if (isOld) unlinkSync(segmentPath(dir, firstSeq));
      syncDir(dir);
      spoolBytes = sumBytes();
      emit({ kind: "removed", spoolBytes });
    } catch (error) {
      emit({ kind: "not-removed", firstSeq, reason: reasonOf(error) });
    }
  }

  function tail(on: boolean): void {
    isTailed = on;
  }

  function close(): void {
    clearTimeout(lazySync);
    try {
      if (segment === undefined && unsynced.length > 0) openSegment();
    } catch (error) {
      poison(error);
    }
    roll();
    unlock();
    emit({ kind: "closed" });
  }
}

function grow(buffer: Buffer, needed: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.max(needed, buffer.length * 2));
  buffer.copy(larger);
  return larger;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
