/**
 * What is recorded and how surely. A draft is what a stage or an admin service hands over; the spool gives it a
 * sequence number, chains it and makes it durable. `facts` go into the hashed envelope and hold nothing personal;
 * `details` (identities, addresses) are only committed to, so they can be destroyed and the chain still verifies.
 */
/** Strictest first. */
export const auditClasses = ["A+", "A", "B", "C"] as const;
export type AuditClass = (typeof auditClasses)[number];

/** queued: in memory; written: survives the process; synced: survives power loss; copied: stands in the database. */
export type DurabilityLevel = "queued" | "written" | "synced" | "copied";

export const auditEvents = [
  "call.intent",
  "call.outcome",
  "authn.failed",
  "authz.policy_unavailable",
  "traffic.rejected",
  "limits.penalty_started",
  "limits.penalty_ended",
  "session.opened",
  "session.closed",
  "consent.granted",
  "consent.denied",
  "consent.revoked",
  "admin.change",
  "admin.denied",
  "admin.sod_violation",
  "admin.read",
  "admin.export",
  "retention.executed",
  "erasure.executed",
  "keys.rotated",
  "keys.destroyed",
  "recovery.closed_intents",
  "integrity.violation",
  "integrity.healed",
  "witness.conflict",
  "signing.unavailable",
  "clock.jump",
  "audit.gap",
  "storage.down",
  "storage.up",
  "storage.regressed",
  "storage.disk_full",
  "storage.fsync_failed",
  "storage.slow",
  "storage.quota",
  "overload.fd",
  "lifecycle.started",
  "lifecycle.stopped",
] as const;
export type AuditEvent = (typeof auditEvents)[number];

type Value = string | number | boolean | null;

export interface RecordDraft {
  readonly event: AuditEvent;
  readonly class: AuditClass;
  /** Wall-clock ms when it happened. */
  readonly timeMs: number;
  /**
   * Non-personal facts. Keys used for search: method, tool, server, scope, status, decision, dataClass,
   * correlationId. An outcome names its intent's sequence number in `intent`.
   */
  readonly facts: Readonly<Record<string, Value | undefined>>;
  /** Personal values. Keys used for search: principal, client, session. The principal is the subject they belong to. */
  readonly details: Readonly<Record<string, Value | undefined>>;
}

export interface RecordRef {
  readonly logId: string;
  readonly seq: number;
}

export interface AuditLog {
  /** Set where nothing is recorded, by configuration: then nothing need be put together for it either. */
  readonly off?: true;
  /**
   * Appends and resolves once the level is reached. Rejects with GatewayError `audit-unavailable` where it is
   * not reached in time; class C never rejects (it is dropped, counted, and a gap record follows).
   */
  append(draft: RecordDraft, level: DurabilityLevel): Promise<RecordRef>;
  /** Resolves when everything appended so far is synced. */
  flush(): Promise<void>;
  /** Live records from now on, for TailRecords; returns a stop function. Slow listeners lose records, counted. */
  tail(listener: (row: import("../storage/store.ts").AuditRow) => void): () => void;
  status(): AuditLogStatus;
}

export interface AuditLogStatus {
  readonly logId: string;
  /** Last sequence number synced, and shipped to the store. */
  readonly syncedSeq: number;
  readonly shippedSeq: number;
  readonly spoolBytes: number;
  readonly writable: boolean;
  readonly dropped: number;
}
