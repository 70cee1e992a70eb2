/**
 * A record as it is verified, wherever it was read: `read-spool.ts`, `read-store.ts` and `read-export.ts` make it,
 * `log-verifier.ts` and `parts.ts` judge it.
 */
import type { EnvelopeView } from "../envelope.ts";

/** What lies beside an envelope: `opened` and `broken` take keys to know. */
export type PartState = "sealed" | "opened" | "empty" | "broken" | "missing";

export interface VerifiableRecord {
  /** As the envelope has it, or as its place has it where the envelope is gone. */
  readonly seq: number;
  /** Where it is kept, where that has numbers of its own. */
  readonly place?: number;
  readonly envelope: EnvelopeView | undefined;
  /** Recomputed; where the envelope is gone the one that was kept. */
  readonly leaf: string;
  /** The leaf that was kept beside the record. */
  readonly storedLeaf?: string;
  readonly part: PartState;
  /** Base64 hashes of a proof of inclusion, where the record came with one. */
  readonly proof?: readonly string[];
}
