/**
 * What is said to the sinks' thread and what it answers: a few numbers and names each way, never a record. Between
 * `sink-thread.ts` and `sink-worker.ts`.
 */
import type { FeedChange, FeedStatus } from "../audit/sinks/feed.ts";
import type { FileSinkOptions } from "../audit/sinks/file-sink.ts";
import type { OtlpSinkOptions } from "../audit/sinks/otlp-sink.ts";
import type { SyslogSinkOptions } from "../audit/sinks/syslog-sink.ts";

export type SinkSpec = { readonly name: string } & (
  | ({ readonly kind: "file" } & FileSinkOptions)
  | { readonly kind: "stdout" }
  | ({ readonly kind: "syslog" } & SyslogSinkOptions)
  | ({ readonly kind: "otlp" } & Omit<OtlpSinkOptions, "logId" | "timeoutMs">)
);

export interface SinksSpec {
  readonly dataDir: string;
  readonly logId: string;
  readonly sinks: readonly SinkSpec[];
}

export type ToSinks =
  | { readonly op: "begin"; readonly spec: SinksSpec; readonly syncedSeq: number }
  | { readonly op: "advance"; readonly syncedSeq: number }
  | { readonly op: "close"; readonly syncedSeq: number };

export type FromSinks =
  | { readonly kind: "status"; readonly sinks: Readonly<Record<string, FeedStatus>> }
  | { readonly kind: "changed"; readonly sink: string; readonly change: FeedChange }
  | { readonly kind: "closed"; readonly sinks: Readonly<Record<string, FeedStatus>> };
