/**
 * Verification and proofs as the admin plane offers them: of the database's copy, held against this node's latest
 * checkpoint: what is there is signed first, and the copy then waited for.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { originOf } from "../audit/evidence/checkpoint.ts";
import { evidenceFolder } from "../audit/evidence/checkpoint-file.ts";
import { loadNodeKey } from "../audit/evidence/node-key.ts";
import { createStoredProofs, type StoredProofs } from "../audit/evidence/stored-proofs.ts";
import { createProofSource, type ProofSource } from "../audit/export-proofs.ts";
import { untilCopied } from "../audit/verify/copy-progress.ts";
import type { VerifyReport } from "../audit/verify/findings.ts";
import { readEvidence } from "../audit/verify/read-spool.ts";
import { findStoredLandmarks } from "../audit/verify/read-store.ts";
import { listLogs, verifyStore } from "../audit/verify/verify.ts";
import type { Parts } from "./parts.ts";
import { findWitnessed } from "./witnessing.ts";

/** For signing, and for the copy. */
const waitMs = 5000;
const signedPollMs = 20;
/** After an outage the copy may wait for so long between two batches. */
const stalledMs = 8_000;

export interface AuditChecks {
  readonly proofs: ProofSource;
  readonly beginExport: () => Disposable;
  /** Of other nodes' logs. */
  readonly stored: StoredProofs;
  readonly verifyLog: (signal: AbortSignal) => Promise<readonly VerifyReport[]>;
}

type CheckedParts = Pick<
  Parts,
  "audit" | "clock" | "config" | "log" | "opener" | "store" | "verifying"
>;

export function createAuditChecks(parts: CheckedParts): AuditChecks {
  const { audit, clock, config, opener, store, verifying } = parts;
  const ownId = audit.status().logId;

  /** An order that nobody signed yet would look like a forged one. */
  async function untilSigned(): Promise<void> {
    const { syncedSeq } = audit.status();
    const endsAtMs = clock.monotonicMs() + waitMs;
    while (audit.evidence !== undefined && audit.evidence.signedSeq() < syncedSeq) {
      if (clock.monotonicMs() >= endsAtMs) return;
      await sleep(signedPollMs);
    }
  }

  const source = createProofSource({
    dataDir: config.dataDir,
    logId: ownId,
    // Gives up in time: what is still missing then is for verification to name.
    untilCopied: () => audit.caughtUp(waitMs),
  });
  const proofs: ProofSource = async () => {
    await untilSigned();
    return await source();
  };

  /** Every log in the database: this node's, other nodes', and those that were given up (ST-16). */
  async function verifyLog(signal: AbortSignal): Promise<readonly VerifyReport[]> {
    using _reading = verifying.begin();
    const own = await proofs();
    const copied = () => audit.status().shippedSeq;
    await untilCopied({ size: own?.size ?? 0, copied, stalledMs, clock, signal });
    const landmarks = await findStoredLandmarks(store.audit);
    const signedSizes = new Map(own === undefined ? [] : [[ownId, own.size]]);
    const shared = { opener, landmarks, signedSizes };
    const reports: VerifyReport[] = [];
    for (const logId of new Set([ownId, ...(await listLogs(store.audit))])) {
      signal.throwIfAborted();
      const isOwn = logId === ownId && own !== undefined;
      const signed = isOwn ? await readSigned(config.dataDir, logId, own.checkpoint) : {};
      reports.push(await verifyStore(store.audit, logId, { ...signed, ...shared }));
    }
    return reports;
  }

  const stored = createStoredProofs({
    store: store.audit,
    witnessed: (logId) =>
      findWitnessed(config, logId, { checkpoints: store.checkpoints, log: parts.log }),
  });
  return { proofs, beginExport: verifying.begin, stored, verifyLog };
}

/** The tree is recomputed from the database alone: tiles are the monitor's to compare. */
async function readSigned(dataDir: string, logId: string, checkpoint: string) {
  const { certificates } = readEvidence(evidenceFolder(dataDir));
  const keys = [(await loadNodeKey(dataDir, originOf(logId))).verifier];
  return { keys, certificates, checkpoints: [checkpoint] };
}
