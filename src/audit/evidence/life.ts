/**
 * One life of the process as the log knows it: its first record certifies the boot key with the node's key, and a
 * rotation of the node's key is recorded under both before it is done (K-03). Used by `evidence.ts`.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { RecordDraft, RecordRef } from "../record.ts";
import { type BootCertificate, certifyBootKey } from "./boot-certificate.ts";
import { keepCertificate } from "./certificates.ts";
import { type HandOver, handOver } from "./hand-over.ts";
import { parseVerifierKey, type SigningKey } from "./keys.ts";
import { loadNodeKey, makeNextNodeKey, readNextNodeKey, takeNextNodeKey } from "./node-key.ts";
import type { Adopted } from "./notary-messages.ts";

type Facts = RecordDraft["facts"];

export interface Life {
  /** Makes or reads the node's key; before anything else. */
  load(): Promise<void>;
  /** Writes the life's first record; without an adopted tree it certifies no key. */
  begin(adopted: Adopted | undefined, facts: Facts): Promise<RecordRef>;
  /** Completes a rotation that a crash interrupted. */
  finishRotation(): Promise<void>;
  rotate(): Promise<HandOver>;
}

export function createLife(deps: {
  readonly dataDir: string;
  /** Of the evidence. */
  readonly dir: string;
  readonly origin: string;
  /** Appends an own record of class A and resolves once it is synced. */
  readonly append: (event: RecordDraft["event"], facts: Facts) => Promise<RecordRef>;
}): Life {
  const { dataDir, dir, origin, append } = deps;
  let nodeKey: SigningKey | undefined;
  let adopted: Adopted | undefined;
  let isRotating = false;

  function needKey(): SigningKey {
    if (nodeKey !== undefined) return nodeKey;
    throw new GatewayError("internal", "the node's key is not loaded");
  }

  /** Of this boot's key, for whoever checks its checkpoints when its record is gone. */
  function certify(): BootCertificate | undefined {
    if (adopted === undefined) return undefined;
    const tree = { size: adopted.size, root: Buffer.from(adopted.root, "hex") };
    const certificate = certifyBootKey(needKey(), parseVerifierKey(adopted.bootKey), tree);
    keepCertificate(dir, certificate);
    return certificate;
  }

  async function begin(found: Adopted | undefined, facts: Facts): Promise<RecordRef> {
    adopted = found;
    const previous = adopted?.previous;
    return await append("lifecycle.started", { ...facts, previous, ...certify() });
  }

  /** Recorded before it is done, so that a key in use always has its hand-over in the log. */
  async function succeed(next: SigningKey): Promise<HandOver> {
    const facts = handOver(needKey(), next);
    await append("keys.rotated", { purpose: "node", ...facts });
    await takeNextNodeKey(dataDir);
    nodeKey = next;
    certify();
    return facts;
  }

  return {
    load: async () => {
      nodeKey = await loadNodeKey(dataDir, origin);
    },
    begin,
    finishRotation: async () => {
      const next = await readNextNodeKey(dataDir, origin);
      if (next !== undefined) await succeed(next);
    },
    rotate: async () => {
      if (isRotating) {
        throw new GatewayError("state-conflict", "The node's key is already being replaced");
      }
      isRotating = true;
      try {
        return await succeed(await makeNextNodeKey(dataDir, origin));
      } finally {
        isRotating = false;
      }
    },
  };
}
