/**
 * The outermost stage: on the way out it records how the call ended, and lets the reply go only when the record is
 * as durable as its class demands. If that fails the reply is withheld: `audit-unavailable` where nothing was
 * executed, `outcome-unrecorded` where it was.
 */
import type { AuditLog, RecordRef } from "../../audit/record.ts";
import type { Rejections } from "../../audit/rejections.ts";
import { createFault, type Fault, GatewayError } from "../../errors/fault.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Outcome } from "../../protocol/messages.ts";
import type { Redact } from "../../sanitize/redactor.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { callRecord, type Ended, outcomeDetails, outcomeFacts, statusOf } from "../call-record.ts";
import type { Exchange } from "../exchange.ts";
import { wantsReceipt, withReceipt } from "../receipts.ts";
import type { Stage } from "../stage.ts";
import { type BodyRules, bodyDetails } from "../stored-bodies.ts";

export interface AuditDeps {
  readonly audit: AuditLog;
  readonly rejections: Rejections;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** The leaf of a synced record, in hex, for receipts; undefined where it cannot be had at once. */
  readonly leafOf?: ((seq: number) => Promise<string | undefined>) | undefined;
  /** What becomes of a class B call whose record is late: refused, or answered with the gap on record. */
  readonly classBOnFailure: "closed" | "open";
  /** Which bodies a record keeps. */
  readonly bodies: BodyRules;
  readonly redact: Redact;
}

export function createAuditStage(deps: AuditDeps): Stage {
  return {
    name: "audit",
    leave(x: Exchange): void | Promise<void> {
      const outcome = x.outcome ?? {
        kind: "fault",
        fault: createFault("internal", "Internal error"),
      };
      x.outcome = outcome;
      const ended = {
        status: statusOf(outcome),
        durationMs: deps.clock.monotonicMs() - x.startedMonotonicMs,
      };
      count(deps, x, outcome, ended);
      if (deps.audit.off) return;
      const noise = noiseOf(x, outcome);
      if (noise !== undefined) {
        noteRejection(deps, x, noise);
        return;
      }
      return record(deps, x, outcome, ended);
    },
  };
}

function record(
  deps: AuditDeps,
  x: Exchange,
  outcome: Outcome,
  ended: Ended,
): void | Promise<void> {
  const isDenial = outcome.kind === "fault" && ended.status === "denied";
  const { class: owedClass, facts, details } = x.recorded ?? callRecord(x);
  const auditClass = isDenial ? "B" : owedClass;
  const draft = {
    event: "call.outcome",
    class: auditClass,
    timeMs: deps.clock.nowMs(),
    facts: outcomeFacts(x, facts, outcome, ended),
    details: outcomeDetails(x, details, outcome, bodyDetails(x, outcome, deps)),
  } as const;
  const wanted = wantsReceipt(x.request);
  if (auditClass === "C") {
    // Such a record has no number when the answer leaves, and may be dropped: there is nothing to give a receipt for.
    if (wanted) x.outcome = withReceipt(outcome, undefined);
    void deps.audit.append(draft, "queued");
    return;
  }
  return deps.audit.append(draft, auditClass === "A+" ? "copied" : "synced").then(
    (ref) => (wanted ? addReceipt(deps, x, outcome, ref) : undefined),
    (cause: unknown) => {
      if (auditClass !== "B" || deps.classBOnFailure !== "open") {
        x.outcome = { kind: "fault", fault: withheld(x, cause) };
      } else if (wanted) x.outcome = withReceipt(outcome, undefined);
    },
  );
}

async function addReceipt(
  deps: AuditDeps,
  x: Exchange,
  outcome: Outcome,
  { logId, seq }: RecordRef,
): Promise<void> {
  const leaf = await deps.leafOf?.(seq);
  x.outcome = withReceipt(outcome, { log: logId, seq, ...(leaf === undefined ? {} : { leaf }) });
}

function withheld(x: Exchange, cause: unknown): Fault {
  if (!(cause instanceof GatewayError)) throw cause;
  if (!x.forwarded) return cause.fault;
  return createFault("outcome-unrecorded", "Executed, but the outcome could not be recorded");
}

/**
 * Refusals that are counted instead of recorded one by one: their sender must not buy a disk write each. What has an
 * intent on record is never one of them: its outcome closes it.
 */
function noiseOf(x: Exchange, outcome: Outcome): Fault | undefined {
  if (outcome.kind !== "fault" || x.intentSeq !== undefined) return undefined;
  if (x.principal === undefined) return outcome.fault;
  switch (outcome.fault.name) {
    case "rate-limited":
    case "too-many-in-flight":
    case "payload-too-large":
    case "parse-error":
    case "invalid-request":
    case "invalid-envelope":
    case "header-mismatch":
    case "unsupported-version":
    case "method-not-found":
      return outcome.fault;
    default:
      return undefined;
  }
}

function noteRejection(deps: AuditDeps, x: Exchange, fault: Fault): void {
  const rejection = {
    event: fault.name === "unauthenticated" ? "authn.failed" : "traffic.rejected",
    reason: fault.reason === undefined ? fault.name : `${fault.name}:${fault.reason}`,
    binding: x.incoming.binding,
    peer: x.incoming.peer.address,
    principal: x.principal?.id,
    tenant: x.principal?.tenant,
  } as const;
  deps.rejections.note(rejection, deps.clock.nowMs());
}

function count(
  deps: AuditDeps,
  x: Exchange,
  outcome: Outcome,
  { status, durationMs }: Ended,
): void {
  const { binding } = x.incoming;
  if (!x.method?.lasts) {
    deps.metrics.observe("mcp_gateway_call_seconds", durationMs / 1000, { binding });
  }
  const labels = { binding, server: x.resolved?.server ?? "", outcome: status };
  deps.metrics.count("mcp_gateway_calls_total", labels);
  if (outcome.kind === "fault" && x.principal === undefined) {
    deps.metrics.count("mcp_gateway_rejected_total", { binding, error: outcome.fault.name });
  }
}
