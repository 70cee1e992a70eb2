/**
 * Checkpoints and proofs for who asks for them: waits for the checkpoint that covers a record, has the notary prove it
 * from its tiles, and adds the certificate of the key that signed. Used by `evidence.ts`; asked by AuditService.
 */
import { GatewayError } from "../../errors/fault.ts";
import { findCertificate } from "./certificates.ts";
import type { SignedCheckpoint } from "./checkpoint.ts";
import { parseCheckpoint } from "./checkpoint.ts";
import { readCheckpoint } from "./checkpoint-file.ts";
import { EvidenceError } from "./evidence-error.ts";
import { renderNote } from "./note.ts";
import { renderProof } from "./proof.ts";
import type { Questions } from "./questions.ts";

/** The log's latest checkpoint, and what its key is believed by. */
export interface CheckpointView {
  /** The signed note. */
  readonly note: string;
  readonly size: number;
  /** Hex. */
  readonly root: string;
  /** The boot key's certificate as a signed note; undefined where it is lost. */
  readonly certificate: string | undefined;
}

export interface ProofView {
  /** c2sp.org/tlog-proof text, its `extra` line holding the certificate. */
  readonly text: string;
  /** Zero-based. */
  readonly index: number;
  /** Hex. */
  readonly leaf: string;
  /** Hashes that lead from the older tree to this one, in hex. */
  readonly consistency: readonly string[];
  readonly checkpoint: CheckpointView;
}

export interface Proving {
  /** Undefined where nothing was signed yet. */
  checkpoint(): CheckpointView | undefined;
  /** Rejects with GatewayError `not-signed-yet` where no checkpoint covers the record in time. */
  prove(seq: number, oldSize: number | undefined): Promise<ProofView>;
  /** The tree up to `size` is signed. */
  noteSigned(size: number): void;
}

interface Waiter {
  readonly seq: number;
  readonly resolve: () => void;
}

const waitersMax = 1000;

export function createProving(deps: {
  readonly dir: string;
  readonly questions: Questions;
  readonly signedSeq: () => number;
  readonly deadlineMs: number;
}): Proving {
  const { dir, questions, signedSeq, deadlineMs } = deps;
  let waiters: readonly Waiter[] = [];

  async function prove(seq: number, oldSize: number | undefined): Promise<ProofView> {
    await untilCovered(Math.max(seq, oldSize ?? 0));
    const proved = await questions.prove({ seq, oldSize }, deadlineMs).catch(refuse);
    const checkpoint = toView(dir, parseCheckpoint(proved.checkpoint.note));
    const { certificate } = checkpoint;
    const index = seq - 1;
    const text = renderProof({
      index,
      hashes: proved.hashes.map((hash) => Buffer.from(hash, "hex")),
      checkpoint: checkpoint.note,
      extra: certificate === undefined ? undefined : Buffer.from(certificate),
    });
    return { text, index, leaf: proved.leaf, consistency: proved.consistency, checkpoint };
  }

  async function untilCovered(seq: number): Promise<void> {
    if (seq <= signedSeq()) return;
    if (waiters.length >= waitersMax) throw notYet("too many wait for it");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { seq, resolve };
    waiters = [...waiters, waiter];
    const timer = setTimeout(() => reject(notYet("none came in time")), deadlineMs);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      waiters = waiters.filter((one) => one !== waiter);
    }
  }

  return {
    checkpoint: () => {
      const found = readCheckpoint(dir);
      return found && toView(dir, found);
    },
    prove,
    noteSigned: (size) => {
      for (const { seq, resolve } of waiters) if (seq <= size) resolve();
    },
  };
}

function toView(dir: string, checkpoint: SignedCheckpoint): CheckpointView {
  return {
    note: renderNote(checkpoint.note),
    size: checkpoint.size,
    root: Buffer.from(checkpoint.root).toString("hex"),
    certificate: findCertificate(dir, checkpoint.note),
  };
}

function refuse(cause: unknown): never {
  throw cause instanceof EvidenceError ? notYet(cause.message) : cause;
}

function notYet(reason: string): GatewayError {
  const advice = "Records are signed within a second of being written";
  return new GatewayError("not-signed-yet", `No checkpoint can be given: ${reason}. ${advice}`);
}
