/**
 * The witness's thread: has the database and other witnesses remember this node's checkpoints, and recomputes the log
 * while the gateway runs. Over files and a store of its own, so that neither a call nor the notary ever waits for it.
 * Started by `witness-thread.ts`; an extra entry point of the executable.
 */
import { join } from "node:path";
import { evidenceFolder } from "../audit/evidence/checkpoint-file.ts";
import { realEvidenceDisk } from "../audit/evidence/disk.ts";
import { parseVerifierKey } from "../audit/evidence/keys.ts";
import type { Progress } from "../audit/monitor/look.ts";
import { type Monitor, startMonitor } from "../audit/monitor/monitor.ts";
import { keepCosignatures } from "../audit/witness/cosigned-note.ts";
import { createDatabaseWitness } from "../audit/witness/database-witness.ts";
import { createExternalWitness } from "../audit/witness/external-witness.ts";
import { readOwnTree } from "../audit/witness/own-tree.ts";
import { type Rounds, startRounds } from "../audit/witness/rounds.ts";
import { systemClock } from "../lib/clock.ts";
import { createEgressFetch } from "../servers/egress-fetch.ts";
import { openStore } from "../storage/open-store.ts";
import type { AuditStore, CheckpointStore, Store } from "../storage/store.ts";
import { openWitnessDatabase } from "../storage/witness-database.ts";
import { silentLog } from "../telemetry/log.ts";
import type { FromWitness, ToWitness, WitnessSpec } from "./witness-messages.ts";

const statusIntervalMs = 500;

declare const self: Worker;
let rounds: Rounds | undefined;
let monitor: Monitor | undefined;
let statusTimer: ReturnType<typeof setInterval> | undefined;
let closeStores: () => Promise<void> = async () => {};

self.onmessage = ({ data: message }: MessageEvent<ToWitness>) => {
  if (message.op === "begin") begin(message.spec, message.progress);
  else if (message.op === "advance") monitor?.advance(message.progress);
  else void close();
};

function begin(spec: WitnessSpec, progress: Progress): void {
  const { dataDir, logId } = spec;
  const evidenceDir = evidenceFolder(dataDir);
  const store = createLateStore(spec);
  const elsewhere =
    spec.witnessDatabaseUrl === undefined
      ? undefined
      : openWitnessDatabase({
          url: spec.witnessDatabaseUrl,
          deadlineMs: spec.store.deadlineMs,
          log: silentLog,
        });
  closeStores = async () => {
    await Promise.allSettled([store.close(), elsewhere?.close()]);
  };
  /** Witnesses are named by the configuration, and most are in the operator's own network. */
  const post = createEgressFetch(true);
  const timeoutMs = spec.store.deadlineMs;
  const openTree = () => readOwnTree({ dataDir, evidenceDir, logId });
  rounds = startRounds({
    witnesses: [
      createDatabaseWitness(elsewhere ?? store.checkpoints, systemClock),
      ...spec.witnesses.map(({ name, url, key }) =>
        createExternalWitness({ name, url, key: parseVerifierKey(key), timeoutMs }, post),
      ),
    ],
    read: openTree,
    keep: ({ note }, cosignatures) =>
      keepCosignatures(realEvidenceDisk, evidenceDir, note, cosignatures),
    clock: systemClock,
    intervalMs: ({ kind }) =>
      kind === "database" ? spec.databaseIntervalMs : spec.externalIntervalMs,
    changed: (name, change) => emit({ kind: "witness", name, change }),
  });
  monitor = startMonitor({
    logId,
    spoolDir: join(dataDir, "spool"),
    store: store.audit,
    openTree,
    clock: systemClock,
    options: spec.monitor,
    found: (range) => emit({ kind: "found", range }),
    healed: (healed) => emit({ kind: "healed", healed }),
    failed: (reason) => emit({ kind: "failed", reason }),
  });
  monitor.advance(progress);
  statusTimer = setInterval(tellStatus, statusIntervalMs);
}

/** The store of this thread, opened when it is first there: the database may be away when the gateway starts. */
function createLateStore(spec: WitnessSpec) {
  let opening: Promise<Store> | undefined;
  const need = (): Promise<Store> => {
    opening ??= openStore({ ...spec.store, log: silentLog, migrate: false, isDirect: true }).catch(
      (error: unknown) => {
        opening = undefined;
        throw error;
      },
    );
    return opening;
  };
  const audit: Pick<AuditStore, "scan" | "head" | "replace"> = {
    scan: async (query) => await (await need()).audit.scan(query),
    head: async (logId) => await (await need()).audit.head(logId),
    replace: async (rows) => await (await need()).audit.replace(rows),
  };
  const checkpoints: CheckpointStore = {
    last: async (logId) => await (await need()).checkpoints.last(logId),
    add: async (checkpoint, nowMs) => await (await need()).checkpoints.add(checkpoint, nowMs),
  };
  return { audit, checkpoints, close: async () => await (await opening)?.close() };
}

function tellStatus(): void {
  if (rounds === undefined || monitor === undefined) return;
  const open = monitor.open();
  emit({ kind: "status", witnesses: rounds.status(), open, laps: monitor.laps() });
}

async function close(): Promise<void> {
  clearInterval(statusTimer);
  await Promise.all([rounds?.stop(), monitor?.stop()]);
  tellStatus();
  await closeStores();
  emit({ kind: "closed" });
}

function emit(message: FromWitness): void {
  self.postMessage(message);
}
