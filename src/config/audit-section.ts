/**
 * The section `audit`: the record of every call, how surely and how quickly it must stand, the room it may take, where
 * else it goes, who witnesses it and how closely it is watched.
 */
import { z } from "zod";
import { auditBodies } from "./audit-bodies.ts";
import { sinks } from "./audit-sinks.ts";
import { witnessing } from "./audit-witnesses.ts";
import { atLeastZero, count, flag, mebibyte, section } from "./fields.ts";

export const audit = section(
  {
    enabled: flag(
      true,
      "Record what happens. Off, nothing is recorded at all: for measuring what it costs, never for use.",
    ),
    segment_bytes_max: count(64 * mebibyte, "Size at which the spool starts a new file."),
    spool_bytes_max: count(1024 * mebibyte, "Most bytes the spool holds; then calls are refused."),
    reserve_bytes_max: count(
      64 * mebibyte,
      "Room kept on the disk to record what is under way when it is full.",
    ),
    deadline_ms: count(250, "Longest wait for a record to become durable; then calls are refused."),
    keep_shipped_hours: atLeastZero(24, "How long spool files stay once they are copied."),
    class_b_on_failure: z
      .enum(["closed", "open"])
      .default("closed")
      .describe("Refuse (closed) or answer (open) read-only calls whose record is late."),
    require_checkpoints: z
      .boolean()
      .default(false)
      .describe("Refuse what is of class A while records have been unsigned for a minute."),
    bodies: auditBodies,
    sinks,
    ...witnessing,
  },
  "The durable record of every call.",
);
