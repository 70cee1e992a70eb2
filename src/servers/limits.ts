/**
 * The bounds of this edge that hold for every server alike, with their defaults. What an operator sets for one server
 * is in its spec; `compose/` puts in what the configuration names.
 */
import { defaultScanLimits, type ScanLimits } from "../protocol/scan.ts";

export interface ServersLimits {
  readonly scan: ScanLimits;
  /** How long calls of a removed server may go on. */
  readonly drainTimeoutMs: number;
  /** Each step of stopping a process (stdin closed, SIGTERM, SIGKILL), and of closing a socket. */
  readonly stopStepMs: number;
  /** How often the server behind a WebSocket is asked whether it is there. */
  readonly beatMs: number;
  readonly reconnectFirstMs: number;
  readonly reconnectMaxMs: number;
  /** How long "speaks legacy revisions only" is believed. */
  readonly legacyVerdictTtlMs: number;
  readonly stderrLineBytesMax: number;
  /** Bytes that may wait for a server that does not read. */
  readonly queuedBytesMax: number;
  readonly catalogueTtlMsMin: number;
  readonly cataloguePagesMax: number;
  readonly catalogueToolsMax: number;
  /** Sessions over a network with one legacy server: for agents of the same capabilities, and for all. */
  readonly sessionsMax: number;
  readonly allSessionsMax: number;
  /** Processes of one legacy server. Past the first, they run calls that may ask something beside each other. */
  readonly processesMax: number;
  /** Questions of one call that come within this time of each other are shown together. */
  readonly questionWindowMs: number;
  /** How long a call waits for its agent's answers, and how many may. */
  readonly parkedMs: number;
  readonly parkedMax: number;
  readonly parkedPerPrincipalMax: number;
  /** Tasks of legacy servers that agents ask for, until they are over. */
  readonly tasksMax: number;
  readonly tasksPerPrincipalMax: number;
  /** Users with a client of their own to one server that takes a token of each. */
  readonly usersMax: number;
}

export const defaultServersLimits: ServersLimits = Object.freeze({
  scan: defaultScanLimits,
  drainTimeoutMs: 30_000,
  stopStepMs: 2_000,
  beatMs: 15_000,
  reconnectFirstMs: 200,
  reconnectMaxMs: 30_000,
  legacyVerdictTtlMs: 24 * 60 * 60 * 1_000,
  stderrLineBytesMax: 4_096,
  queuedBytesMax: 16 * 1_024 * 1_024,
  catalogueTtlMsMin: 5_000,
  cataloguePagesMax: 100,
  catalogueToolsMax: 10_000,
  sessionsMax: 8,
  allSessionsMax: 64,
  processesMax: 1,
  questionWindowMs: 20,
  parkedMs: 10 * 60_000,
  parkedMax: 1_000,
  parkedPerPrincipalMax: 32,
  tasksMax: 1_000,
  tasksPerPrincipalMax: 64,
  usersMax: 1_000,
});
