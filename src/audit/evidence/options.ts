/** Times and bounds of the evidence, with their defaults: what `compose/` sets and tests shorten. */
import type { NotaryOptions } from "./notary-messages.ts";

export interface EvidenceOptions extends NotaryOptions {
  /** How often the notary is told of what is synced, at most. */
  readonly tellMs: number;
  /** How long a start waits for the tree to be adopted, and a stop for the last checkpoint. */
  readonly adoptTimeoutMs: number;
  readonly closeTimeoutMs: number;
  /** Synced records unsigned for longer than this are an alarm. */
  readonly graceMs: number;
  /** With the alarm on, calls and changes of class A are refused. */
  readonly requireCheckpoints: boolean;
  readonly leafDeadlineMs: number;
  readonly proofDeadlineMs: number;
}

export const defaultEvidenceOptions: EvidenceOptions = {
  tellMs: 50,
  // With the time to be told and to sign, within a second.
  signAfterMs: 500,
  retryMs: 5000,
  adoptTimeoutMs: 30_000,
  closeTimeoutMs: 5000,
  graceMs: 60_000,
  requireCheckpoints: false,
  leafDeadlineMs: 250,
  proofDeadlineMs: 2000,
};
