/**
 * The section `audit`: the record of every call, where else it goes (`audit-sinks.ts`), who witnesses it and how closely
 * it is watched.
 */
import { z } from "zod";
import { sinks } from "./audit-sinks.ts";
import { witnessing } from "./audit-witnesses.ts";
import { atLeastZero, count, mebibyte, section } from "./fields.ts";

export const audit = section(
  {
    segment_bytes_max: count(64 * mebibyte, "Size at which the spool starts a new file."),
    spool_bytes_max: count(1024 * mebibyte, "Most bytes the spool holds; then calls are refused."),
    deadline_ms: count(1_000, "Longest wait for a record to become durable."),
    keep_shipped_hours: atLeastZero(24, "How long spool files stay once they are copied."),
    class_b_on_failure: z
      .enum(["closed", "open"])
      .default("closed")
      .describe("Refuse (closed) or answer (open) read-only calls whose record is late."),
    sinks,
    ...witnessing,
  },
  "The durable record of every call.",
);
