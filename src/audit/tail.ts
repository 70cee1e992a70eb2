/**
 * Live records for whoever watches: decodes the frames of each sync and hands their rows to the listeners. Costs
 * nothing while nobody listens. What a listener cannot take in time is its own to drop and count; here a burst
 * above the bound is cut and counted, so a watcher can never hold up the calls.
 */
import type { AuditRow } from "../storage/store.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { toAuditRow } from "./row.ts";
import { decodeFrame, frameHeadBytes } from "./spool/format.ts";

export type TailListener = (row: AuditRow) => void;

/** Rows handed on for one sync at most. */
const rowsPerSyncMax = 1024;

export interface Tail {
  listen(listener: TailListener): () => void;
  offer(frames: readonly Uint8Array[] | undefined): void;
}

export function createTail(deps: {
  /** Told when the first listener comes and the last one goes. */
  readonly switched: (on: boolean) => void;
  readonly metrics: Pick<Metrics, "count">;
}): Tail {
  const listeners = new Set<TailListener>();

  function listen(listener: TailListener): () => void {
    if (listeners.size === 0) deps.switched(true);
    listeners.add(listener);
    return () => {
      if (listeners.delete(listener) && listeners.size === 0) deps.switched(false);
    };
  }

  function offer(frames: readonly Uint8Array[] | undefined): void {
    if (frames === undefined || listeners.size === 0) return;
    const { rows, cut } = toRows(frames);
    if (cut > 0) deps.metrics.count("mcp_gateway_audit_tail_dropped_total", {}, cut);
    for (const row of rows) for (const listener of listeners) listener(row);
  }

  return { listen, offer };
}

function toRows(frames: readonly Uint8Array[]): {
  readonly rows: readonly AuditRow[];
  readonly cut: number;
} {
  const rows: AuditRow[] = [];
  let cut = 0;
  for (const frame of frames) {
    const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
    let offset = 0;
    while (offset < bytes.length) {
      if (rows.length === rowsPerSyncMax) {
        cut += 1;
        offset += frameHeadBytes + bytes.readUInt32LE(offset);
        continue;
      }
      const decoded = decodeFrame(bytes, offset);
      if (decoded.kind !== "record") break;
      offset = decoded.end;
      const row = toAuditRow(decoded.record);
      if (row !== undefined) rows.push(row);
    }
  }
  return { rows, cut };
}
