/**
 * Turns retention rules into what may be deleted now: for each `delete` rule a filter, and what stays whatever that
 * rule says. Pure; `run.ts` carries it out. `retain` beats `delete`, nothing goes before it is a day old, and the
 * records of retention, integrity and administration go only by a rule that names their event.
 */
import type { RetentionRuleResource } from "../state/resources.ts";
import type { AuditFilter } from "../storage/store.ts";

const dayMs = 24 * 60 * 60 * 1000;
const retentionDaysMin = 1;

/** Evidence about the log itself and about who changed what. */
export const protectedEvents = [
  "retention.executed",
  "erasure.executed",
  "keys.rotated",
  "keys.destroyed",
  "integrity.violation",
  "recovery.closed_intents",
  "audit.gap",
  "admin.change",
] as const;

export interface PlannedDeletion {
  readonly ruleId: string;
  readonly filter: AuditFilter;
  /** Records matching any of these stay. */
  readonly exclude: readonly AuditFilter[];
}

/** The deletions due at `nowMs`, highest priority first. */
export function buildPlan(
  rules: readonly RetentionRuleResource[],
  nowMs: number,
): readonly PlannedDeletion[] {
  const usable = rules.filter((rule) => rule.enabled && Number.isFinite(rule.retentionDays));
  const retained = usable
    .filter((rule) => rule.action === "retain")
    .map((rule) => ({ ...toScope(rule), fromMs: boundaryOf(rule, nowMs) }));
  return usable
    .filter((rule) => rule.action === "delete")
    .toSorted((a, b) => b.priority - a.priority || a.id.localeCompare(b.id))
    .map((rule) => ({
      ruleId: rule.id,
      filter: { ...toScope(rule), untilMs: boundaryOf(rule, nowMs) },
      exclude: [...retained, ...protectedFrom(rule)],
    }));
}

/** The moment before which a rule calls a record old. */
function boundaryOf(rule: RetentionRuleResource, nowMs: number): number {
  return nowMs - Math.max(retentionDaysMin, rule.retentionDays) * dayMs;
}

function toScope(rule: RetentionRuleResource): AuditFilter {
  return {
    ...(rule.dataClass === undefined ? {} : { dataClass: rule.dataClass }),
    ...(rule.event === undefined ? {} : { event: rule.event }),
    ...(rule.clientId === undefined ? {} : { client: rule.clientId }),
    ...(rule.tenant === undefined ? {} : { tenant: rule.tenant }),
  };
}

function protectedFrom(rule: RetentionRuleResource): readonly AuditFilter[] {
  return rule.event === undefined ? protectedEvents.map((event) => ({ event })) : [];
}
