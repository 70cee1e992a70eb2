/**
 * The durable "about to": a record of the call before any server is touched, as sure as the call's class demands.
 * If it cannot be written the call is refused and was not executed.
 */
import type { AuditClass, AuditLog } from "../../audit/record.ts";
import { GatewayError } from "../../errors/fault.ts";
import { callRecord, classOf } from "../call-record.ts";
import { type Exchange, proceed, refuse, type Verdict } from "../exchange.ts";
import type { Stage } from "../stage.ts";

export interface IntentDeps {
  readonly audit: AuditLog;
  /** What becomes of a class B call whose intent cannot be written. */
  readonly classBOnFailure: "closed" | "open";
}

export function createIntentStage(deps: IntentDeps): Stage {
  return {
    name: "intent",
    enter(x: Exchange): Verdict | Promise<Verdict> {
      if (deps.audit.off) return proceed;
      const auditClass = classOf(x);
      if (auditClass === "C") return proceed;
      return record(deps, x, auditClass);
    },
  };
}

async function record(deps: IntentDeps, x: Exchange, auditClass: AuditClass): Promise<Verdict> {
  const recorded = callRecord(x, auditClass);
  x.recorded = recorded;
  try {
    const ref = await deps.audit.append(
      {
        event: "call.intent",
        class: auditClass,
        timeMs: x.receivedAtMs,
        facts: recorded.facts,
        details: recorded.details,
      },
      auditClass === "B" ? "written" : "synced",
    );
    x.intentSeq = ref.seq;
    return proceed;
  } catch (cause) {
    if (auditClass === "B" && deps.classBOnFailure === "open") return proceed;
    if (cause instanceof GatewayError) return refuse(cause.fault);
    throw cause;
  }
}
