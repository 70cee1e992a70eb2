/**
 * The main thread's side of the evidence: starts the notary, has it adopt the log, tells it what is synced, and says
 * how it fares. Nothing of it is on a call's path: what fails here is recorded and counted, and logging goes on
 * (ST-23). Made by `log.ts`; the keys are in `life.ts`, proofs in `proving.ts`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { RecordDraft, RecordRef } from "../record.ts";
import { closesIntent } from "../spool/gaps.ts";
import { originOf } from "./checkpoint.ts";
import { evidenceFolder } from "./checkpoint-file.ts";
import { createLife, type Life } from "./life.ts";
import type { Adopted, FromNotary, NotaryViolation } from "./notary-messages.ts";
import { type StartNotaryThread, startNotaryThread } from "./notary-thread.ts";
import type { EvidenceOptions } from "./options.ts";
import { createProving, type Proving } from "./proving.ts";
import { createQuestions } from "./questions.ts";
import { type RebuildDeps, type Rebuilt, rebuildEvidence } from "./rebuild.ts";
import { createSigningWatch } from "./signing-watch.ts";

export interface EvidenceDeps {
  readonly dataDir: string;
  readonly spoolDir: string;
  readonly logId: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count" | "gauge">;
  readonly options: EvidenceOptions;
  /** Appends and resolves once it is synced. */
  readonly append: (draft: RecordDraft) => Promise<RecordRef>;
  /** Appends; never waits and never fails. */
  readonly record: (draft: RecordDraft) => void;
  readonly startThread?: StartNotaryThread | undefined;
  /** What a lost folder of evidence is made anew from. */
  readonly store: RebuildDeps["store"];
  readonly witnessed?: RebuildDeps["witnessed"];
}

export interface Evidence extends Pick<Proving, "checkpoint" | "prove"> {
  /** Adopts what was synced up to `lastSeq` and writes the life's first record, which says so, with these facts. */
  begin(lastSeq: number, facts: RecordDraft["facts"]): Promise<void>;
  noteSynced(seq: number): void;
  /** Whether this may not be done now, because nothing is signed any more and the operator wants it so (ST-23). */
  refuses(draft: RecordDraft): boolean;
  /** Whether nothing was signed for so long that it is an alarm. */
  isLate(): boolean;
  /** The last record under a checkpoint. */
  signedSeq(): number;
  /** The leaf of a synced record, in hex; undefined where it cannot be had at once. */
  leafOf(seq: number): Promise<string | undefined>;
  /** Replaces the node's key, by a record that both keys sign. */
  rotateNodeKey: Life["rotate"];
  /** Signs a last checkpoint over everything up to `seq`. */
  close(seq: number): Promise<void>;
}

export function openEvidence(deps: EvidenceDeps): Evidence {
  const { dataDir, logId, clock, log, metrics, options } = deps;
  const dir = evidenceFolder(dataDir);
  const origin = originOf(logId);
  const adoption = Promise.withResolvers<Adopted | undefined>();
  const closed = Promise.withResolvers<void>();
  const thread = (deps.startThread ?? startNotaryThread)({ received, died });
  const questions = createQuestions((message) => thread.post(message));
  const watch = createSigningWatch({ clock, graceMs: options.graceMs, late, over });
  const { signedSeq, isLate } = watch;
  const proving = createProving({
    dir,
    questions,
    signedSeq,
    deadlineMs: options.proofDeadlineMs,
  });
  const life = createLife({
    dataDir,
    dir,
    origin,
    append: (event, facts) => deps.append(own(event, facts)),
  });
  let latestSeq = 0;
  let toldSeq = 0;
  let isReading = false;
  let tellTimer: ReturnType<typeof setTimeout> | undefined;
  metrics.gauge("mcp_gateway_audit_checkpoint_size", signedSeq);
  metrics.gauge("mcp_gateway_audit_unsigned_seconds", () => watch.unsignedMs() / 1000);
  metrics.gauge("mcp_gateway_audit_signing_late", () => (isLate() ? 1 : 0));

  async function begin(lastSeq: number, facts: RecordDraft["facts"]): Promise<void> {
    await life.load();
    const rebuilt = await rebuildEvidence({ ...deps, dir }, lastSeq);
    const isRefused = rebuilt !== undefined && "violation" in rebuilt;
    const adopted = isRefused ? undefined : await adopt(lastSeq);
    if (adopted === undefined) log.error("audit.nothing_is_signed", { logId });
    const { seq } = await life.begin(adopted, facts);
    if (adopted !== undefined) thread.post({ kind: "begin", seq });
    if (rebuilt !== undefined) tellRebuilt(rebuilt);
    await life.finishRotation();
  }

  async function adopt(lastSeq: number): Promise<Adopted | undefined> {
    const place = { spoolDir: deps.spoolDir, dir, logId };
    thread.post({ kind: "open", place, options: notaryOptions(options), seq: lastSeq });
    const patience = sleep(options.adoptTimeoutMs, undefined, { ref: false });
    return await Promise.race([adoption.promise, patience]);
  }

  function tellRebuilt(rebuilt: Rebuilt): void {
    if ("violation" in rebuilt) {
      refused(rebuilt.violation, "start");
      return;
    }
    const facts = { place: "evidence", kind: "rebuilt", from: 1, to: rebuilt.size };
    log.warn("audit.evidence_rebuilt", facts);
    deps.record(own("integrity.healed", { ...facts, count: rebuilt.size }));
  }

  function own(event: RecordDraft["event"], facts: RecordDraft["facts"]): RecordDraft {
    return { event, class: "A", timeMs: clock.nowMs(), facts, details: {} };
  }

  function received(message: FromNotary): void {
    switch (message.kind) {
      case "adopted":
        adoption.resolve(message.adopted);
        return;
      case "not-adopted":
        adoption.resolve(undefined);
        return;
      case "read":
        isReading = false;
        if (latestSeq > toldSeq) tellSoon();
        return;
      case "signed":
        metrics.count("mcp_gateway_audit_checkpoints_total");
        watch.noteSigned(message.size);
        proving.noteSigned(message.size);
        return;
      case "refused":
        refused(message.violation);
        return;
      case "failed":
        fail("disk", message.reason);
        return;
      case "answer":
        questions.answered(message.id, message.answer);
        return;
      case "closed":
        closed.resolve();
        return;
      default:
        message satisfies never;
    }
  }

  function noteSynced(seq: number): void {
    if (seq <= latestSeq) return;
    latestSeq = seq;
    watch.noteSynced(seq);
    if (!isReading) tellSoon();
  }

  function tellSoon(): void {
    tellTimer ??= setTimeout(tell, options.tellMs);
  }

  function tell(): void {
    tellTimer = undefined;
    isReading = true;
    toldSeq = latestSeq;
    watch.noteTold();
    thread.post({ kind: "synced", seq: toldSeq });
  }

  function refused(violation: NotaryViolation, foundBy = "notary"): void {
    const { kind, seq, where } = violation;
    fail(kind, where);
    deps.record(own("integrity.violation", { kind, seq, where, foundBy }));
  }

  function fail(reason: NotaryViolation["kind"] | "disk" | "thread", detail: string): void {
    metrics.count("mcp_gateway_audit_signing_failures_total", { reason });
    log.error("audit.not_signed", { reason, detail });
  }

  function died(reason: string): void {
    fail("thread", reason);
    adoption.resolve(undefined);
    closed.resolve();
    questions.refuseAll("the notary's thread died");
  }

  function late(unsignedMs: number): void {
    const facts = { seconds: Math.round(unsignedMs / 1000), signedSeq: signedSeq() };
    log.error("signing.unavailable", facts);
    deps.record(own("signing.unavailable", { status: "began", ...facts }));
  }

  function over(): void {
    log.info("signing.available", { signedSeq: signedSeq() });
    deps.record(own("signing.unavailable", { status: "ended", signedSeq: signedSeq() }));
  }

  function refuses(draft: RecordDraft): boolean {
    if (!options.requireCheckpoints || !isLate()) return false;
    // What was done is told all the same, and so is how the process began and ended.
    if (closesIntent(draft) || draft.event.startsWith("lifecycle.")) return false;
    return draft.class === "A" || draft.class === "A+";
  }

  async function close(seq: number): Promise<void> {
    clearTimeout(tellTimer);
    thread.post({ kind: "close", seq });
    const patience = sleep(options.closeTimeoutMs, undefined, { ref: false });
    await Promise.race([closed.promise, patience]);
    watch.stop();
    questions.refuseAll("the gateway is closing");
    thread.terminate();
  }

  return {
    begin,
    noteSynced,
    refuses,
    isLate,
    signedSeq,
    leafOf: (seq) => questions.leaf(seq, options.leafDeadlineMs).catch(() => undefined),
    checkpoint: proving.checkpoint,
    prove: proving.prove,
    rotateNodeKey: life.rotate,
    close,
  };
}

function notaryOptions(options: EvidenceOptions) {
  const { signAfterMs, retryMs } = options;
  return { signAfterMs, retryMs };
}
