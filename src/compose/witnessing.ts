/**
 * What the configuration says of witnesses, put together: the thread's orders, and the question at a start how far
 * witnesses saw this log come. Called by `auditing.ts`, `audit-checks.ts` and `start-gateway.ts`; this node's own
 * service to other nodes is in `witness-service.ts`.
 */
import { evidenceFolder } from "../audit/evidence/checkpoint-file.ts";
import { EvidenceError } from "../audit/evidence/evidence-error.ts";
import {
  cosignatureType,
  noteType,
  parseVerifierKey,
  type VerifierKey,
} from "../audit/evidence/keys.ts";
import { defaultMonitorOptions } from "../audit/monitor/monitor.ts";
import { createExternalWitness } from "../audit/witness/external-witness.ts";
import { type OwnTree, type OwnTreeFiles, readOwnTree } from "../audit/witness/own-tree.ts";
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/problem.ts";
import { createEgressFetch } from "../servers/egress-fetch.ts";
import type { CheckpointStore, StoredCheckpoint } from "../storage/store.ts";
import { openWitnessDatabase } from "../storage/witness-database.ts";
import type { Log } from "../telemetry/log.ts";
import type { WitnessSpec } from "./witness-messages.ts";

/** A checkpoint a second would be more than it is worth; what is promised is five seconds. */
const databaseIntervalMs = 2_000;
/** A start waits so long for a witness, and goes on without it. */
const askTimeoutMs = 3_000;

/** Throws ConfigError where a key is none, before anything is started. */
export function checkWitnesses({ audit }: Config): void {
  audit.witnesses.forEach(({ key }, index) => {
    readKey(key, cosignatureType, `audit.witnesses[${index}].key`);
  });
  audit.witnessFor.forEach((key, index) => {
    readKey(key, noteType, `audit.witness_for[${index}]`);
  });
}

function readKey(text: string, type: VerifierKey["type"], where: string): VerifierKey {
  try {
    const key = parseVerifierKey(text);
    if (key.type === type) return key;
    throw new EvidenceError(
      `a key of type ${type} is needed here, and this is of type ${key.type}`,
    );
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    throw new ConfigError([{ where, message: error.message }]);
  }
}

export function toWitnessSpec(
  config: Config,
  logId: string,
  store: WitnessSpec["store"],
): WitnessSpec {
  const { audit, dataDir } = config;
  return {
    dataDir,
    logId,
    store,
    witnessDatabaseUrl: audit.witnessDatabaseUrl?.reveal(),
    witnesses: audit.witnesses,
    databaseIntervalMs,
    externalIntervalMs: audit.witnessIntervalSeconds * 1000,
    monitor: { ...defaultMonitorOptions, recordsPerSecond: audit.monitorRecordsPerSecond },
  };
}

/** How many records of this node's log any witness remembers; those that cannot be asked are passed over. */
export async function askWitnesses(
  config: Config,
  logId: string,
  deps: { readonly checkpoints: CheckpointStore; readonly log: Log },
): Promise<number> {
  const { audit, dataDir } = config;
  const evidenceDir = evidenceFolder(dataDir);
  const post = createEgressFetch(true);
  const asked: { readonly name: string; readonly size: Promise<number> }[] = [
    { name: "database", size: findWitnessed(config, logId, deps).then((one) => one?.size ?? 0) },
  ];
  const tree = readTree({ dataDir, evidenceDir, logId }, deps.log);
  for (const { name, url, key } of audit.witnesses) {
    // Without a checkpoint of this log there is nothing to ask with.
    if (tree === undefined) break;
    const options = { name, url, key: parseVerifierKey(key), timeoutMs: askTimeoutMs };
    asked.push({ name, size: createExternalWitness(options, post).witnessedSize(tree) });
  }
  const sizes = asked.map(({ name, size }) =>
    size.catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      deps.log.warn("audit.witness_not_asked", { witness: name, reason });
      return 0;
    }),
  );
  return Math.max(...(await Promise.all(sizes)));
}

function readTree(files: OwnTreeFiles, log: Log): OwnTree | undefined {
  try {
    return readOwnTree(files);
  } catch (error) {
    // The notary says on record what is wrong with it.
    log.warn("audit.checkpoint_unreadable", { reason: String(error) });
    return undefined;
  }
}

/** The last checkpoint of a log in the database that witnesses this node's. */
export async function findWitnessed(
  config: Config,
  logId: string,
  { checkpoints, log }: { readonly checkpoints: CheckpointStore; readonly log: Log },
): Promise<StoredCheckpoint | undefined> {
  const url = config.audit.witnessDatabaseUrl?.reveal();
  if (url === undefined) return await checkpoints.last(logId);
  const elsewhere = openWitnessDatabase({ url, deadlineMs: askTimeoutMs, log });
  try {
    return await elsewhere.last(logId);
  } finally {
    await elsewhere.close();
  }
}
