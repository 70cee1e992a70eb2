/**
 * How large, how long and how often, for the spool: its options and their defaults. Set by `compose/` from the
 * configuration; the defaults are for tests and for what the configuration leaves alone.
 */
export interface SpoolOptions {
  /** How long an append may take to reach its level. */
  readonly deadlineMs: number;
  readonly segmentBytesMax: number;
  /** Quota: class C is shed at 80 %, B refused at 95 %, A at 100 %. */
  readonly spoolBytesMax: number;
  /** Records accepted and not yet synced. */
  readonly queueRecordsMax: number;
  /** Facts and details above this are kept with their texts shortened. */
  readonly recordBytesMax: number;
  readonly batchRecordsMax: number;
  /** How often a disk that refused records is tried again. */
  readonly probeIntervalMs: number;
  /** Room kept on the disk for the day it is full. */
  readonly reserveBytesMax: number;
  /** How long the thread may take to start and recover the spool. */
  readonly openTimeoutMs: number;
}

export const defaultSpoolOptions: SpoolOptions = {
  // The gateway's own comes from its configuration (`audit.deadline_ms`).
  deadlineMs: 30_000,
  segmentBytesMax: 64 * 1024 * 1024,
  spoolBytesMax: 1024 * 1024 * 1024,
  queueRecordsMax: 65_536,
  recordBytesMax: 16 * 1024,
  batchRecordsMax: 1024,
  probeIntervalMs: 500,
  reserveBytesMax: 64 * 1024 * 1024,
  openTimeoutMs: 30_000,
};
