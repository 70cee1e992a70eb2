/**
 * The single writer of the spool: numbers records, chains them, appends them and syncs them in groups. Runs on the
 * spool's thread (`worker.ts`). Group commit clocks itself: what arrives while a sync runs forms the next group.
 *
 * A failed sync poisons its segment: nothing is ever synced there again (ST-09). Records already written keep
 * their numbers, because somebody may hold them, and open the next segment; so the chain has no hole and no fork.
 */
import type { Clock } from "../../lib/clock.ts";
import { type Later, realLater } from "../../lib/later.ts";
import type { Sealer } from "../sealer.ts";
import { reasonOf, type SpoolDisk, type SpoolFolder } from "./disk.ts";
import { encodeHeader } from "./format.ts";
import { createGroupEncoder, type Group, type Place, recordFramesOf } from "./group.ts";
import { createOpenIntents } from "./intents.ts";
import {
  type BatchRecord,
  type FromSpool,
  parseBatch,
  type SpoolWriterOptions,
} from "./messages.ts";
import { reopenSpool } from "./opening.ts";
import { recoverSpool } from "./recover.ts";
import { createReserve } from "./reserve.ts";
import {
  createSegment,
  cutToSize,
  markEnd,
  type OpenSegment,
  removeSegment,
  retireSegment,
  sumSegments,
  writeAhead,
  writeFully,
} from "./segment.ts";
import { createSpare } from "./spare.ts";

export interface SpoolWriterDeps {
  readonly dir: string;
  readonly logId: string;
  readonly disk: SpoolDisk;
  readonly clock: Clock;
  readonly sealer: Sealer;
  readonly emit: (message: FromSpool) => void;
  readonly options: SpoolWriterOptions;
  readonly later?: Later;
}

export interface SpoolWriter {
  /** Appends a batch (see `messages.ts`) and reports `written` or `unwritten`, then `synced`. */
  append(batch: string): void;
  /** Deletes a shipped segment; the one being written stays. */
  remove(firstSeq: number): void;
  /** Ends the active segment once no sync is under way on it, and calls back while there is none. */
  endSegment(ended: (folder: SpoolFolder) => void): void;
  /** Whether `synced` reports carry the frames. */
  tail(on: boolean): void;
  close(): void;
}

/** Longest time a record lies unsynced that only had to be written. */
const lazySyncMs = 20;

/** Opens the spool, recovers it and reports `opened`. Throws where it cannot be used. */
export function openSpoolWriter(deps: SpoolWriterDeps): SpoolWriter {
  const { dir, disk, clock, emit, options, later = realLater } = deps;
  const folder = disk.take(dir);
  const encoder = createGroupEncoder(deps.logId, deps.sealer);
  const spare = createSpare(disk, dir);

  const recovered = orRelease(() => recoverSpool(disk, dir));
  const openIntents = createOpenIntents(recovered.openIntents);
  let last: Place = { seq: recovered.lastSeq, leaf: recovered.lastLeaf };
  let synced = last;
  /** The record up to which a mark or a header says that all is synced. */
  let markedSeq = 0;
  /** Written but not synced: what the next segment must open with if this one fails. */
  let unsynced: Group[] = [];
  let segment: OpenSegment | undefined;
  let spoolBytes = 0;
  let isTailed = false;
  let onEnded: ((folder: SpoolFolder) => void) | undefined;
  /** Somebody waits for what is unsynced. */
  let isSyncWanted = false;
  let closing: "no" | "asked" | "done" = "no";
  let cancelLazySync: (() => undefined) | undefined;

  orRelease(openFirst);
  const reserve = createReserve({
    disk,
    dir,
    bytesMax: options.reserveBytesMax,
    probeIntervalMs: options.probeIntervalMs,
    later,
    changed: (isFull, reason) => emit({ kind: "room", isFull, reason }),
  });
  const { lastSeq, lastLeaf, lastTimeMs, damage } = recovered;
  const found = { lastSeq, lastLeaf, lastTimeMs, damage, openIntents: recovered.openIntents };
  emit({ kind: "opened", ...found, spoolBytes });
  const tail = (on: boolean) => {
    isTailed = on;
  };
  return { append, remove, endSegment, tail, close };

  function orRelease<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      folder.release();
      throw error;
    }
  }

  function openFirst(): void {
    segment = reopenSpool(disk, folder, dir, recovered);
    if (segment === undefined) openSegment();
    spare.renew();
    measure();
  }

  function measure(): void {
    spoolBytes = sumSegments(disk, dir, segment) ?? spoolBytes;
  }

  function openSegment(): OpenSegment {
    const header = { v: 2, log: deps.logId, firstSeq: synced.seq + 1, prev: synced.leaf } as const;
    const opening = encodeHeader({ ...header, openIntents: openIntents.list() });
    const carried = unsynced.map((group) => group.bytes);
    segment = createSegment(disk, folder, dir, {
      spare,
      firstSeq: header.firstSeq,
      opening: [opening, ...carried],
      bytesMax: options.segmentBytesMax,
    });
    markedSeq = synced.seq;
    spoolBytes += segment.size;
    spare.renew();
    measure();
    if (unsynced.length > 0) reportSynced(unsynced.length, 0);
    return segment;
  }

  function append(batch: string): void {
    const records = parseBatch(batch);
    const firstSeq = last.seq + 1;
    const problem = tryWrite(records);
    if (problem !== undefined) {
      emit({ kind: "unwritten", count: records.length, reason: problem });
      return;
    }
    openIntents.note(records, firstSeq);
    const isAwaited = !records.every((record) => record.isUrgent);
    emit({ kind: "written", firstSeq, count: records.length, isAwaited });
    if (records.some((record) => record.isUrgent)) isSyncWanted = true;
    else cancelLazySync ??= later(lazySyncMs, syncLazily);
    advance();
  }

  /** Why the group could not be written; on a full disk it is tried once more in the room kept for that (ST-07). */
  function tryWrite(records: readonly BatchRecord[]): string | undefined {
    for (;;) {
      try {
        writeGroup(records);
        return undefined;
      } catch (error) {
        if (segment?.isSpoilt) poison(error);
        if (!reserve.noteFailure(error)) return reasonOf(error);
      }
    }
  }

  /** Writes all of the group or throws; nothing counts as written before its last byte is. */
  function writeGroup(records: readonly BatchRecord[]): void {
    const into = segment ?? openSegment();
    const marked = synced.seq > markedSeq ? synced.seq : undefined;
    const group = encoder.encode(records, last, marked);
    writeFully(disk, into, group.bytes, group.bytes.length);
    spoolBytes += group.bytes.length;
    markedSeq = marked ?? markedSeq;
    // The encoder's buffer is used again.
    unsynced.push({ ...group, bytes: new Uint8Array(group.bytes) });
    last = group.last;
  }

  /**
   * Syncs what somebody waits for, or ends a full segment. Never both at once: the kernel reports a failed write-back
   * to one sync only, and the other would call durable what is lost.
   */
  function advance(): void {
    if (segment?.isSyncing) return;
    if (onEnded !== undefined || (segment?.size ?? 0) >= options.segmentBytesMax) roll();
    else if (segment !== undefined && isSyncWanted) startSync(segment);
    onEnded = void onEnded?.(folder);
  }

  /** For what nobody waits for; the next sync that somebody wants takes it along. */
  function syncLazily(): void {
    cancelLazySync = undefined;
    isSyncWanted = true;
    advance();
  }

  function startSync(syncing: OpenSegment): void {
    cancelLazySync = cancelLazySync?.();
    isSyncWanted = false;
    if (unsynced.length === 0) return;
    makeRoom(syncing);
    syncing.isSyncing = true;
    const count = unsynced.length;
    const startedMs = clock.monotonicMs();
    disk.sync(syncing.fd, (error) => {
      syncing.isSyncing = false;
      if (syncing.isRetired) retireSegment(disk, syncing);
      else if (error !== null) poison(error);
      else reportSynced(count, (clock.monotonicMs() - startedMs) / 1000);
      if (closing === "no") advance();
      else end();
    });
  }

  /** Ahead of need, so that a disk which is full says so while there still is room for what was let in. */
  function makeRoom(into: OpenSegment): void {
    try {
      writeAhead(disk, dir, into, options.segmentBytesMax);
    } catch (error) {
      reserve.noteFailure(error);
    }
  }

  function reportSynced(count: number, seconds: number): void {
    const done = unsynced.slice(0, count);
    unsynced = unsynced.slice(count);
    synced = done.at(-1)?.last ?? synced;
    const frames = isTailed ? done.map(recordFramesOf) : undefined;
    emit({ kind: "synced", seq: synced.seq, seconds, spoolBytes, frames, written: undefined });
  }

  function poison(error: unknown): void {
    if (segment !== undefined) retireSegment(disk, segment);
    segment = undefined;
    emit({ kind: "unsynced", seq: last.seq, reason: reasonOf(error) });
  }

  /** The old segment is synced whole before the new one begins: durability never runs ahead of order. */
  function roll(): void {
    if (segment === undefined) return;
    try {
      const startedMs = clock.monotonicMs();
      cutToSize(disk, segment);
      disk.syncNow(segment.fd);
      reportSynced(unsynced.length, (clock.monotonicMs() - startedMs) / 1000);
      if (closing !== "no" && synced.seq > markedSeq) markEnd(disk, segment, synced.seq);
      retireSegment(disk, segment);
      // The next append opens the new segment, and reports it if that fails.
      segment = undefined;
    } catch (error) {
      poison(error);
    }
  }

  function remove(firstSeq: number): void {
    try {
      removeSegment(disk, folder, dir, firstSeq);
      measure();
      emit({ kind: "removed", spoolBytes });
    } catch (error) {
      emit({ kind: "not-removed", firstSeq, reason: reasonOf(error) });
    }
  }

  function endSegment(ended: (folder: SpoolFolder) => void): void {
    onEnded = ended;
    advance();
  }

  function close(): void {
    closing = "asked";
    cancelLazySync?.();
    end();
  }

  /** Once, with the sync under way if there is one; that of a segment given up before may end earlier or later. */
  function end(): void {
    if (closing === "done" || segment?.isSyncing) return;
    closing = "done";
    try {
      if (segment === undefined && unsynced.length > 0) openSegment();
    } catch (error) {
      poison(error);
    }
    roll();
    spare.close();
    reserve.close();
    folder.release();
    emit({ kind: "closed" });
  }
}
