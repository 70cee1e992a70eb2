/**
 * The audit log with everything that works on its files: the copy, the sinks, the witnesses and the monitor, or none of
 * it where the configuration says that nothing is recorded. Made by `parts.ts`.
 */
import { type AuditLogDeps, type OpenAuditLog, openAuditLog } from "../audit/log.ts";
import { openNoAuditLog } from "../audit/off.ts";
import type { Config } from "../config/config.ts";
import type { CheckpointStore } from "../storage/store.ts";
import type { CopySpec } from "./copy-messages.ts";
import { startCopyThread } from "./copy-thread.ts";
import { toRecordCharsMax } from "./options.ts";
import { toSinks } from "./sink-options.ts";
import { type SinkThread, startSinks } from "./sink-thread.ts";
import { startWitnessThread, type WitnessThread } from "./witness-thread.ts";
import { askWitnesses, findWitnessed, toWitnessSpec } from "./witnessing.ts";

export interface Auditing {
  readonly audit: OpenAuditLog;
  /** Undefined where no sink is configured. */
  readonly sinks: SinkThread | undefined;
  /** Undefined where nothing is recorded. */
  readonly witness: WitnessThread | undefined;
}

export type AuditingParts = Pick<
  AuditLogDeps,
  "store" | "clock" | "log" | "metrics" | "keys" | "life"
>;

export async function startAuditing(
  config: Config,
  database: CopySpec["store"],
  checkpoints: CheckpointStore,
  parts: AuditingParts,
): Promise<Auditing> {
  const { clock, log, metrics } = parts;
  if (!config.audit.enabled) {
    return { audit: openNoAuditLog(log), sinks: undefined, witness: undefined };
  }
  const audit = await openAuditLog({
    dataDir: config.dataDir,
    ...parts,
    witnessed: (logId) => findWitnessed(config, logId, { checkpoints, log }),
    witnessedSize: (logId) => askWitnesses(config, logId, { checkpoints, log }),
    startCopier: (spool) => startCopyThread({ ...spool, store: database }, log),
    options: {
      segmentBytesMax: config.audit.segmentBytesMax,
      spoolBytesMax: config.audit.spoolBytesMax,
      recordBytesMax: toRecordCharsMax(config),
      reserveBytesMax: config.audit.reserveBytesMax,
      deadlineMs: config.audit.deadlineMs,
      requireCheckpoints: config.audit.requireCheckpoints,
      keepShippedMs: config.audit.keepShippedHours * 3_600_000,
    },
  });
  const { logId } = audit.status();
  const watching = { audit, clock, log, metrics };
  const spec = { dataDir: config.dataDir, logId, sinks: toSinks(config) };
  return {
    audit,
    sinks: startSinks(spec, watching),
    witness: startWitnessThread({ spec: toWitnessSpec(config, logId, database), ...watching }),
  };
}
