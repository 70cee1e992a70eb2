/**
 * Retention rules between protobuf and resources.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { RetentionAction, RetentionRule } from "../../gen/types.ts";
import { retentionRuleShape } from "../../state/resource-shapes.ts";
import type { RetentionRuleResource } from "../../state/resources.ts";
import type { StoredResource } from "../../storage/store.ts";
import { keyFor, orUndefined, toMetadata } from "./common.ts";

const retentionActions = {
  RETENTION_ACTION_DELETE: "delete",
  RETENTION_ACTION_RETAIN: "retain",
} as const satisfies Partial<Record<RetentionAction, RetentionRuleResource["action"]>>;

export function toRetentionRuleResource(message: RetentionRule): RetentionRuleResource {
  if (message.action === "RETENTION_ACTION_UNSPECIFIED") {
    const allowed = Object.keys(retentionActions).join(" or ");
    throw new GatewayError("invalid-params", `rule.action: must be ${allowed}`);
  }
  return {
    id: message.id,
    tenant: orUndefined(message.tenant),
    description: message.description,
    policyType: "time_based",
    action: retentionActions[message.action],
    retentionDays: message.retention_days,
    dataClass: orUndefined(message.data_class),
    event: orUndefined(message.event),
    clientId: orUndefined(message.client_id),
    priority: message.priority,
    enabled: message.enabled ?? true,
  };
}

export function fromRetentionRule(stored: StoredResource): RetentionRule {
  const rule = retentionRuleShape(stored.body, "retention-rule");
  return {
    id: rule.id,
    tenant: rule.tenant ?? "",
    description: rule.description,
    policy_type: "RETENTION_POLICY_TYPE_TIME_BASED",
    action: keyFor(retentionActions, rule.action),
    retention_days: rule.retentionDays,
    data_class: rule.dataClass ?? "",
    event: rule.event ?? "",
    client_id: rule.clientId ?? "",
    priority: rule.priority,
    enabled: rule.enabled,
    metadata: toMetadata(stored),
  };
}
