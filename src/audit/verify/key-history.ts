/**
 * Whose signatures count in one log: the node keys a reader pinned, those handed over to on the record, and the boot
 * keys they certified. Fed with the records in order; asked by `log-verifier.ts` of each checkpoint.
 */

import type { EnvelopeView } from "../envelope.ts";
import {
  type BootCertificate,
  findBootCertificate,
  renderBootCertificate,
  verifyBootCertificate,
} from "../evidence/boot-certificate.ts";
import { originOf, parseCheckpoint, type SignedCheckpoint } from "../evidence/checkpoint.ts";
import { EvidenceError } from "../evidence/evidence-error.ts";
import { verifyHandOver } from "../evidence/hand-over.ts";
import { parseVerifierKey, type VerifierKey } from "../evidence/keys.ts";
import { verifyNote } from "../evidence/note.ts";
import type { ViolationKind } from "./findings.ts";

export type KeyProblem = readonly [kind: ViolationKind, why: string];

export interface KeyHistory {
  /** What is wrong with a record of the keys' history; undefined for a sound one and for any other record. */
  pass(envelope: EnvelopeView): KeyProblem | undefined;
  /** The checkpoint in a note, or what is wrong with it. */
  check(note: string): SignedCheckpoint | KeyProblem;
}

/**
 * `certificates` are those kept apart from the records, `landmarks` the log's records of its keys, read ahead. Without pinned keys nothing can be said of signatures, so none
 * is asked for.
 */
export function createKeyHistory(
  logId: string,
  pinned: readonly VerifierKey[],
  certificates: readonly string[] = [],
  landmarks: readonly EnvelopeView[] = [],
): KeyHistory {
  const origin = originOf(logId);
  const isPinned = pinned.length > 0;
  const nodeKeys = pinned.filter((key) => key.name === origin);
  const bootKeys: VerifierKey[] = [];
  learnBackwards();

  function pass({ event, facts }: EnvelopeView): KeyProblem | undefined {
    if (!isPinned) return undefined;
    const certificate = event === "lifecycle.started" ? findBootCertificate(facts) : undefined;
    if (certificate !== undefined) return passStart(certificate);
    const isHandOver = event === "keys.rotated" && facts.purpose === "node";
    return isHandOver && facts.newKey !== undefined ? passHandOver(facts) : undefined;
  }

  function passStart(certificate: BootCertificate): KeyProblem | undefined {
    try {
      const node = parseVerifierKey(certificate.nodeKey);
      // Held against the key it names first: a foreign key signs soundly, an altered record does not.
      const boot = verifyBootCertificate(renderBootCertificate(certificate), [node]);
      if (boot.origin !== origin) return ["key-history", `its certificate is for ${boot.origin}`];
      if (!isKnown(node))
        return ["foreign-key", "it is certified by a key that is not this node's"];
      bootKeys.push(boot.key);
      return undefined;
    } catch (error) {
      return ["key-history", `its certificate does not hold: ${reasonOf(error)}`];
    }
  }

  function passHandOver(facts: EnvelopeView["facts"]): KeyProblem | undefined {
    try {
      const { oldKey, newKey } = verifyHandOver(toHandOver(facts));
      if (newKey.name !== origin)
        return ["key-history", `it hands over to a key of ${newKey.name}`];
      if (!isKnown(oldKey)) return ["foreign-key", "it hands over a key that is not this node's"];
      nodeKeys.push(newKey);
      return undefined;
    } catch (error) {
      return ["key-history", `the hand-over of the node key does not hold: ${reasonOf(error)}`];
    }
  }

  /** Who knows a later key knows by its signature which ones it followed. */
  function learnBackwards(): void {
    for (const { event, facts } of landmarks.toReversed()) {
      if (event !== "keys.rotated" || facts.newKey === undefined) continue;
      try {
        const { oldKey, newKey } = verifyHandOver(toHandOver(facts));
        if (oldKey.name === origin && isKnown(newKey) && !isKnown(oldKey)) nodeKeys.push(oldKey);
      } catch (error) {
        if (!(error instanceof EvidenceError)) throw error;
        // Named as wrong when its place is reached.
      }
    }
  }

  function isKnown(key: VerifierKey): boolean {
    return nodeKeys.some(
      (one) => one.id === key.id && Buffer.compare(one.publicKey, key.publicKey) === 0,
    );
  }

  /** Those of other nodes are of no use: checkpoints by their keys are then signed by nobody we know. */
  function readCertificates(): readonly VerifierKey[] {
    return certificates.flatMap((note) => {
      try {
        const boot = verifyBootCertificate(note, nodeKeys);
        return boot.origin === origin ? [boot.key] : [];
      } catch (error) {
        if (error instanceof EvidenceError) return [];
        throw error;
      }
    });
  }

  function check(note: string): SignedCheckpoint | KeyProblem {
    let checkpoint: SignedCheckpoint;
    try {
      checkpoint = parseCheckpoint(note);
    } catch (error) {
      return ["checkpoint", `the checkpoint cannot be read: ${reasonOf(error)}`];
    }
    if (checkpoint.origin !== origin)
      return ["checkpoint", `the checkpoint is of ${checkpoint.origin}`];
    if (!isPinned) return checkpoint;
    const known = [...bootKeys, ...readCertificates(), ...nodeKeys];
    const isClaimed = checkpoint.note.signatures.some(({ name, keyId }) =>
      known.some((key) => key.name === name && key.id === keyId),
    );
    if (!isClaimed) return ["foreign-key", "the checkpoint is signed by no key of this node"];
    try {
      verifyNote(checkpoint.note, known);
      return checkpoint;
    } catch (error) {
      return ["checkpoint", `the checkpoint is not what its key signed: ${reasonOf(error)}`];
    }
  }

  return { pass, check };
}

function toHandOver(facts: EnvelopeView["facts"]) {
  return {
    oldKey: String(facts.oldKey),
    newKey: String(facts.newKey),
    oldSignature: String(facts.oldSignature),
    newSignature: String(facts.newSignature),
  };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
