/**
 * A log's tree in memory, with checkpoints and proofs at any size, and forks of it: for tests of witnesses.
 */
import { renderCheckpoint } from "../../src/audit/evidence/checkpoint.ts";
import { createSigningKey, type SigningKey } from "../../src/audit/evidence/keys.ts";
import { renderNote, signText } from "../../src/audit/evidence/note.ts";
import {
  hashNode,
  type NodeReader,
  proveConsistency,
  rootAt,
} from "../../src/audit/evidence/tree.ts";
import type { WitnessedTree } from "../../src/audit/witness/witness.ts";

export interface SampleTree {
  readonly origin: string;
  readonly key: SigningKey;
  /** The tree at a size, signed by the log's key or another. */
  at(size: number, key?: SigningKey): WitnessedTree;
}

export const sampleLogId = "7b0d6a3e-0f3c-4b7e-9a86-27a2d2e4f1aa";

/** Leaves differ from `forkAt` on (0-based) where `fork` is another word. */
export function createSampleTree(fork = "", forkAt = 0, key?: SigningKey): SampleTree {
  const origin = `mcp-gateway/${sampleLogId}`;
  const own = key ?? createSigningKey(origin);
  const node: NodeReader = (level, index) => {
    if (level > 0) return hashNode(node(level - 1, index * 2), node(level - 1, index * 2 + 1));
    return Bun.SHA256.hash(`leaf ${index} ${index >= forkAt ? fork : ""}`) as Uint8Array;
  };
  return {
    origin,
    key: own,
    at: (size, signer = own) => {
      const root = rootAt(size, node);
      const text = renderCheckpoint({ origin, size, root });
      return {
        ...{ origin, logId: sampleLogId, size, root },
        note: renderNote({ text, signatures: [signText(text, signer)] }),
        rootAt: (older) => rootAt(older, node),
        prove: (older) => proveConsistency(older, size, node),
      };
    },
  };
}
