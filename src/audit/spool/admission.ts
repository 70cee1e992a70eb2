/**
 * Whether a record may enter the spool, by its class and how full things are (ST-08): what matters least goes
 * first, so that the last room is kept for what must be recorded. Pure; asked by `spool.ts` for every record.
 */
import type { AuditClass } from "../record.ts";

/** Share of the quota at which a class is no longer taken. */
const limitByClass: Readonly<Record<AuditClass, number>> = {
  "A+": 1,
  A: 1,
  B: 0.95,
  C: 0.8,
};

/** Why a record of this class is not taken, or undefined where it is. */
export function admit(request: {
  readonly class: AuditClass;
  /** Share of the spool's byte quota in use. */
  readonly used: number;
  /** Share of the queue in use. */
  readonly queued: number;
  readonly failure: string | undefined;
  /** What room is left on the disk is kept for the outcomes of calls already let through. */
  readonly isDiskFull: boolean;
  /** The outcome of a call already made: always taken, and never more of them than there are calls in flight. */
  readonly closesIntent: boolean;
}): string | undefined {
  if (request.failure !== undefined) return request.failure;
  if (request.closesIntent) return undefined;
  if (request.isDiskFull) return "disk-full";
  const limit = limitByClass[request.class];
  if (request.used >= limit) return "spool-full";
  return request.queued >= limit ? "queue-full" : undefined;
}
