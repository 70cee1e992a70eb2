/**
 * The main thread's end of the sinks' thread: says how far the spool is synced, a few times a second whatever the load,
 * and turns what comes back into metrics and one log line for each change. A thread that died is started again. Called
 * by `parts.ts`.
 */
import type { AuditLog } from "../audit/record.ts";
import type { FeedChange, FeedStatus } from "../audit/sinks/feed.ts";
import { startWorker } from "../lib/worker.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { FromSinks, SinksSpec, ToSinks } from "./sink-messages.ts";

export interface SinkThread {
  /** Lets the sinks deliver what little is left. To be called once the spool is closed. */
  close(): Promise<void>;
}

/** Undefined where there are none. */
export function startSinks(
  spec: SinksSpec,
  deps: Pick<SinkThreadDeps, "log" | "metrics"> & { readonly audit: Pick<AuditLog, "status"> },
): SinkThread | undefined {
  if (spec.sinks.length === 0) return undefined;
  const { audit, log, metrics } = deps;
  return startSinkThread({ spec, syncedSeq: () => audit.status().syncedSeq, log, metrics });
}

export interface SinkThreadDeps {
  readonly spec: SinksSpec;
  readonly syncedSeq: () => number;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count" | "gauge">;
}

const advanceIntervalMs = 200;
const restartAfterMs = 1_000;
/** Stopping waits this long for receivers; the rest is delivered after the next start. */
const closeDeadlineMs = 3_000;

const nothing: FeedStatus = { deliveredSeq: 0, failures: 0, skipped: 0, isDown: true };

export function startSinkThread(deps: SinkThreadDeps): SinkThread {
  const { spec, syncedSeq, log, metrics } = deps;
  const known = new Map<string, FeedStatus>(spec.sinks.map(({ name }) => [name, nothing]));
  const closed = Promise.withResolvers<void>();
  let isClosing = false;
  let saidSeq = 0;
  let restartTimer: ReturnType<typeof setTimeout> | undefined;
  let worker = start();
  const advanceTimer = setInterval(advance, advanceIntervalMs);
  advanceTimer.unref();
  addGauges();
  return { close };

  function start(): Worker {
    const started = startWorker("compose/sink-worker");
    started.onmessage = ({ data: message }: MessageEvent<FromSinks>) => received(message);
    started.onerror = (event) => {
      log.error("audit.sinks_died", { reason: event.message });
      // Its counts begin anew with it.
      for (const { name } of spec.sinks) known.set(name, nothing);
      if (isClosing) closed.resolve();
      else restartTimer = setTimeout(restart, restartAfterMs);
    };
    saidSeq = syncedSeq();
    say(started, { op: "begin", spec, syncedSeq: saidSeq });
    return started;
  }

  function restart(): void {
    worker.terminate();
    worker = start();
  }

  function advance(): void {
    if (syncedSeq() === saidSeq) return;
    saidSeq = syncedSeq();
    say(worker, { op: "advance", syncedSeq: saidSeq });
  }

  function received(message: FromSinks): void {
    if (message.kind === "changed") {
      tell(log, message.sink, message.change);
      return;
    }
    for (const [name, status] of Object.entries(message.sinks)) note(name, status);
    if (message.kind === "closed") closed.resolve();
  }

  function note(sink: string, status: FeedStatus): void {
    const before = known.get(sink) ?? nothing;
    known.set(sink, status);
    const failed = status.failures - before.failures;
    const skipped = status.skipped - before.skipped;
    if (failed > 0) metrics.count("mcp_gateway_audit_sink_failures_total", { sink }, failed);
    if (skipped > 0) metrics.count("mcp_gateway_audit_sink_skipped_total", { sink }, skipped);
  }

  function addGauges(): void {
    const eachSink = (read: (status: FeedStatus) => number) => () =>
      [...known].map(([sink, status]) => ({ labels: { sink }, value: read(status) }));
    metrics.gauge(
      "mcp_gateway_audit_sink_lag_records",
      eachSink(({ deliveredSeq }) => Math.max(0, syncedSeq() - deliveredSeq)),
    );
    metrics.gauge(
      "mcp_gateway_audit_sink_up",
      eachSink(({ isDown }) => (isDown ? 0 : 1)),
    );
  }

  async function close(): Promise<void> {
    if (isClosing) return closed.promise;
    isClosing = true;
    clearInterval(advanceTimer);
    clearTimeout(restartTimer);
    say(worker, { op: "close", syncedSeq: syncedSeq() });
    const timer = setTimeout(closed.resolve, closeDeadlineMs);
    await closed.promise;
    clearTimeout(timer);
    worker.terminate();
  }
}

function say(worker: Worker, message: ToSinks): void {
  worker.postMessage(message);
}

function tell(log: Log, sink: string, change: FeedChange): void {
  const { kind, ...fields } = change;
  if (kind === "up") log.info("audit.sink_up", { sink, ...fields });
  else if (kind === "down") log.warn("audit.sink_down", { sink, ...fields });
  else log.error("audit.sink_gap", { sink, ...fields });
}
