/**
 * The sinks' thread: one feed a sink, each with its own reader of the spool, so that neither the calls nor the copy to
 * the database ever wait for a receiver. Started by `sink-thread.ts`; an extra entry point of the executable.
 */
import { join } from "node:path";
import { createSinkCursor } from "../audit/sinks/cursor.ts";
import { defaultFeedOptions, type Feed, startFeed } from "../audit/sinks/feed.ts";
import { createFileSink } from "../audit/sinks/file-sink.ts";
import { createOtlpSink } from "../audit/sinks/otlp-sink.ts";
import type { Sink } from "../audit/sinks/sink.ts";
import { createStdoutSink } from "../audit/sinks/stdout-sink.ts";
import { createSyslogSink } from "../audit/sinks/syslog-sink.ts";
import { systemClock } from "../lib/clock.ts";
import { createEgressFetch } from "../servers/egress-fetch.ts";
import type { FromSinks, SinkSpec, SinksSpec, ToSinks } from "./sink-messages.ts";

const statusIntervalMs = 500;

declare const self: Worker;
const feeds = new Map<string, Feed>();
const stdout = createStdoutSink();
/** Receivers are named by the configuration, and most are in the operator's own network. */
const post = createEgressFetch(true);
let statusTimer: ReturnType<typeof setInterval> | undefined;

self.onmessage = ({ data: message }: MessageEvent<ToSinks>) => {
  if (message.op === "begin") begin(message.spec);
  for (const feed of feeds.values()) feed.advance(message.syncedSeq);
  if (message.op === "close") void close();
};

function begin(spec: SinksSpec): void {
  for (const sink of spec.sinks) feeds.set(sink.name, start(sink, spec));
  statusTimer = setInterval(() => emit({ kind: "status", sinks: statuses() }), statusIntervalMs);
}

function start(sink: SinkSpec, { dataDir, logId }: SinksSpec): Feed {
  return startFeed({
    spoolDir: join(dataDir, "spool"),
    logId,
    open: () => open(sink, logId),
    cursor: createSinkCursor(join(dataDir, "sinks", `${sink.name}.cursor`)),
    clock: systemClock,
    options: defaultFeedOptions,
    changed: (change) => emit({ kind: "changed", sink: sink.name, change }),
  });
}

function open(spec: SinkSpec, logId: string): Sink {
  switch (spec.kind) {
    case "file":
      return createFileSink(spec, systemClock);
    case "stdout":
      return stdout;
    case "syslog":
      return createSyslogSink(spec);
    case "otlp":
      return createOtlpSink({ ...spec, logId, timeoutMs: defaultFeedOptions.deadlineMs }, post);
    default:
      return spec satisfies never;
  }
}

function statuses() {
  return Object.fromEntries([...feeds].map(([name, feed]) => [name, feed.status()]));
}

async function close(): Promise<void> {
  clearInterval(statusTimer);
  await Promise.all([...feeds.values()].map((feed) => feed.stop()));
  emit({ kind: "closed", sinks: statuses() });
}

function emit(message: FromSinks): void {
  self.postMessage(message);
}
