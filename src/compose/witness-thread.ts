/**
 * The main thread's end of the witness's thread: tells it how far the log is and puts on record, into metrics and into
 * the log what it says. A fork or a violation is said loudly and goes on being counted (ST-06, ST-22). A thread that
 * died is started again. Called by `parts.ts`.
 */

import type { FindingPlace } from "../audit/monitor/finding.ts";
import type { AuditLog, RecordDraft } from "../audit/record.ts";
import type { WitnessChange, WitnessStatus } from "../audit/witness/rounds.ts";
import { createWindows } from "../audit/witness/window.ts";
import type { Clock } from "../lib/clock.ts";
import { startWorker } from "../lib/worker.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { FromWitness, ToWitness, WitnessSpec } from "./witness-messages.ts";

export interface WitnessThread {
  /** Records wrong at the moment. */
  violations(): number;
  /** Witnesses that remember another history. */
  conflicts(): readonly string[];
  /** Has the last checkpoint witnessed. To be called once the log is closed. */
  close(): Promise<void>;
}

export interface WitnessThreadDeps {
  readonly spec: WitnessSpec;
  readonly audit: Pick<AuditLog, "append" | "status">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count" | "gauge">;
}

const advanceIntervalMs = 500;
const restartAfterMs = 1_000;
/** Stopping waits this long for witnesses; the rest is witnessed after the next start. */
const closeDeadlineMs = 3_000;

export function startWitnessThread(deps: WitnessThreadDeps): WitnessThread {
  const { spec, audit, clock, log, metrics } = deps;
  const windows = createWindows(clock.nowMs);
  const names = ["database", ...spec.witnesses.map(({ name }) => name)];
  const closed = Promise.withResolvers<void>();
  const failures = new Map<string, number>();
  const conflicting = new Set<string>();
  let open: Readonly<Record<FindingPlace, number>> = { database: 0, spool: 0, tree: 0 };
  let laps = 0;
  let saidFailure = "";
  let isClosing = false;
  let restartTimer: ReturnType<typeof setTimeout> | undefined;
  /** Begins with the first news, so that a start does not share its time with it. */
  let worker: Worker | undefined;
  const advanceTimer = setInterval(advance, advanceIntervalMs);
  advanceTimer.unref();
  addGauges();
  return {
    violations: () => open.database + open.spool + open.tree,
    conflicts: () => [...conflicting],
    close,
  };

  function start(): Worker {
    const started = startWorker("compose/witness-worker");
    started.onmessage = ({ data: message }: MessageEvent<FromWitness>) => received(message);
    started.onerror = (event) => {
      log.error("audit.witness_died", { reason: event.message });
      failures.clear();
      if (isClosing) closed.resolve();
      else restartTimer = setTimeout(restart, restartAfterMs);
    };
    say(started, { op: "begin", spec, progress: audit.status() });
    return started;
  }

  function restart(): void {
    worker?.terminate();
    worker = start();
  }

  function advance(): void {
    const { syncedSeq, shippedSeq } = audit.status();
    worker ??= start();
    say(worker, { op: "advance", progress: { syncedSeq, shippedSeq } });
  }

  function received(message: FromWitness): void {
    switch (message.kind) {
      case "status":
        for (const status of message.witnesses) noteStatus(status);
        open = message.open;
        laps = message.laps;
        return;
      case "witness":
        noteChange(message.name, message.change);
        return;
      case "found": {
        const { place, kind, from, to } = message.range;
        const facts = { place, kind, log: spec.logId, from, to, count: to - from + 1 };
        log.error("audit.integrity_violation", facts);
        record("integrity.violation", facts);
        return;
      }
      case "healed": {
        const { place, count } = message.healed;
        log.warn("audit.healed", { ...message.healed });
        metrics.count("mcp_gateway_audit_healed_total", { place }, count);
        record("integrity.healed", { ...message.healed, log: spec.logId });
        return;
      }
      case "failed":
        if (message.reason !== saidFailure) log.warn("audit.monitor", { reason: message.reason });
        saidFailure = message.reason;
        return;
      case "closed":
        closed.resolve();
        return;
      default:
        message satisfies never;
    }
  }

  function noteStatus(status: WitnessStatus): void {
    const { name } = status;
    windows.note(status, audit.status().syncedSeq);
    const more = status.failures - (failures.get(name) ?? 0);
    failures.set(name, status.failures);
    if (more > 0)
      metrics.count("mcp_gateway_audit_witness_failures_total", { witness: name }, more);
  }

  function noteChange(witness: string, change: WitnessChange): void {
    if (change.kind === "up") log.info("audit.witness_up", { witness });
    else if (change.kind === "down") {
      log.warn("audit.witness_down", { witness, reason: change.reason });
    } else {
      const { reason, size, witnessedSize } = change;
      conflicting.add(witness);
      metrics.count("mcp_gateway_audit_witness_conflicts_total", { witness });
      log.error("audit.witness_conflict", { witness, reason, size, witnessedSize });
      record("witness.conflict", { witness, size, witnessedSize, log: spec.logId });
    }
  }

  function record(event: RecordDraft["event"], facts: RecordDraft["facts"]): void {
    const draft: RecordDraft = { event, class: "A", timeMs: clock.nowMs(), facts, details: {} };
    audit.append(draft, "synced").catch((cause: unknown) => {
      log.error("audit.own_record_lost", { event, reason: String(cause) });
    });
  }

  function addGauges(): void {
    const eachWitness = (what: "records" | "seconds") => () =>
      names.map((witness) => {
        const window = windows.of(witness, audit.status().syncedSeq);
        return { labels: { witness }, value: window[what] };
      });
    metrics.gauge("mcp_gateway_audit_unwitnessed_records", eachWitness("records"));
    metrics.gauge("mcp_gateway_audit_unwitnessed_seconds", eachWitness("seconds"));
    metrics.gauge("mcp_gateway_audit_integrity_violations", () =>
      Object.entries(open).map(([place, value]) => ({ labels: { place }, value })),
    );
    metrics.gauge("mcp_gateway_audit_monitor_laps", () => laps);
  }

  async function close(): Promise<void> {
    if (isClosing) return closed.promise;
    isClosing = true;
    clearInterval(advanceTimer);
    clearTimeout(restartTimer);
    worker ??= start();
    say(worker, { op: "close" });
    const timer = setTimeout(closed.resolve, closeDeadlineMs);
    await closed.promise;
    clearTimeout(timer);
    worker.terminate();
  }
}

function say(worker: Worker, message: ToWitness): void {
  worker.postMessage(message);
}
