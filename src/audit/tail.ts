/**
 * Live records for whoever watches: decodes the frames of each sync and hands their rows to the listeners. Costs
 * nothing while nobody listens. What a listener cannot take in time is its own to drop and count; here a burst
 * above the bound is cut, so a watcher can never hold up the calls.
 */
import type { AuditRow } from "../storage/store.ts";
import { toAuditRow } from "./row.ts";
import { decodeFrame } from "./spool-format.ts";

export type TailListener = (row: AuditRow) => void;

/** Rows handed on for one sync at most. */
const rowsPerSyncMax = 1024;

export interface Tail {
  listen(listener: TailListener): () => void;
  offer(frames: readonly Uint8Array[] | undefined): void;
}

/** `switched` is told when the first listener comes and the last one goes. */
export function createTail(switched: (on: boolean) => void): Tail {
  const listeners = new Set<TailListener>();

  function listen(listener: TailListener): () => void {
    if (listeners.size === 0) switched(true);
    listeners.add(listener);
    return () => {
      if (listeners.delete(listener) && listeners.size === 0) switched(false);
    };
  }

  function offer(frames: readonly Uint8Array[] | undefined): void {
    if (frames === undefined || listeners.size === 0) return;
    for (const row of toRows(frames)) for (const listener of listeners) listener(row);
  }

  return { listen, offer };
}

function toRows(frames: readonly Uint8Array[]): readonly AuditRow[] {
  const rows: AuditRow[] = [];
  for (const frame of frames) {
    const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
    let offset = 0;
    while (offset < bytes.length && rows.length < rowsPerSyncMax) {
      const decoded = decodeFrame(bytes, offset);
      if (decoded.kind !== "record") break;
      const row = toAuditRow(decoded.record);
      if (row !== undefined) rows.push(row);
      offset = decoded.end;
    }
  }
  return rows;
}
