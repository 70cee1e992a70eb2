/**
 * Roles, bindings and rules between protobuf and resources.
 */
import { GatewayError } from "../../errors/fault.ts";
import type {
  Binding,
  Obligations,
  RiskTier as RiskTierMessage,
  Role,
  Rule,
  RuleEffect,
} from "../../gen/types.ts";
import type { RiskTier } from "../../policy/rule.ts";
import { bindingShape, roleShape, ruleShape } from "../../state/resource-shapes.ts";
import type { BindingResource, RoleResource, RuleResource } from "../../state/resources.ts";
import type { StoredResource } from "../../storage/store.ts";
import {
  actions,
  keyFor,
  orNone,
  orUndefined,
  riskTierNames,
  toAction,
  toMetadata,
} from "./common.ts";

const effects = {
  RULE_EFFECT_DENY: "deny",
  RULE_EFFECT_ALLOW: "allow",
  RULE_EFFECT_REQUIRE: "require",
} as const satisfies Partial<Record<RuleEffect, RuleResource["effect"]>>;

export function toRoleResource(message: Role): RoleResource {
  return {
    name: message.name,
    tenant: orUndefined(message.tenant),
    description: message.description,
    permissions: message.permissions.map((permission) => ({
      resource: permission.resource,
      actions: permission.actions.map((action) => toAction(action, "role.permissions.actions")),
    })),
  };
}

export function fromRole(stored: StoredResource): Role {
  const role = roleShape(stored.body, "role");
  return {
    name: role.name,
    tenant: role.tenant ?? "",
    description: role.description,
    permissions: role.permissions.map((permission) => ({
      resource: permission.resource,
      actions: permission.actions.map((action) => keyFor(actions, action)),
    })),
    metadata: toMetadata(stored),
  };
}

export function toBindingResource(message: Binding): BindingResource {
  const { name, roles, users, groups } = message;
  return { name, tenant: orUndefined(message.tenant), roles, users, groups };
}

export function fromBinding(stored: StoredResource): Binding {
  const { tenant = "", ...binding } = bindingShape(stored.body, "binding");
  return { ...binding, tenant, metadata: toMetadata(stored) };
}

export function toRuleResource(message: Rule): RuleResource {
  if (message.effect === "RULE_EFFECT_UNSPECIFIED") {
    const allowed = Object.keys(effects).join(" or ");
    throw new GatewayError("invalid-params", `rule.effect: must be ${allowed}`);
  }
  const { condition } = message;
  const action = condition?.action ?? "POLICY_ACTION_UNSPECIFIED";
  return {
    name: message.name,
    tenant: orUndefined(message.tenant),
    effect: effects[message.effect],
    priority: message.priority,
    condition: {
      server: orUndefined(condition?.server ?? ""),
      targetPattern: orUndefined(condition?.target_pattern ?? ""),
      ignoreCase: condition?.ignore_case ?? false,
      principal: orUndefined(condition?.principal ?? ""),
      action: action === "POLICY_ACTION_UNSPECIFIED" ? undefined : actions[action],
      roles: orNone(condition?.roles ?? []),
      groups: orNone(condition?.groups ?? []),
      workspaces: orNone(condition?.workspaces ?? []),
      riskTiers: orNone((condition?.risk_tiers ?? []).map(toRiskTier)),
      when: orUndefined(condition?.when ?? ""),
    },
    ...(message.obligations && { obligations: toObligations(message.obligations) }),
    enabled: message.enabled ?? true,
  };
}

export function fromRule(stored: StoredResource): Rule {
  const rule = ruleShape(stored.body, "rule");
  const { name, effect, priority, condition, obligations, enabled } = rule;
  const { action } = condition;
  return {
    name,
    tenant: rule.tenant ?? "",
    effect: keyFor(effects, effect),
    priority,
    condition: {
      server: condition.server ?? "",
      target_pattern: condition.targetPattern ?? "",
      ignore_case: condition.ignoreCase,
      principal: condition.principal ?? "",
      action: action === undefined ? "POLICY_ACTION_UNSPECIFIED" : keyFor(actions, action),
      roles: condition.roles ?? [],
      groups: condition.groups ?? [],
      workspaces: condition.workspaces ?? [],
      risk_tiers: (condition.riskTiers ?? []).map((tier) => keyFor(riskTierNames, tier)),
      when: condition.when ?? "",
    },
    ...(obligations && { obligations: fromObligations(obligations) }),
    enabled,
    metadata: toMetadata(stored),
  };
}

function toRiskTier(tier: RiskTierMessage): RiskTier {
  if (tier !== "RISK_TIER_UNSPECIFIED") return riskTierNames[tier];
  const allowed = Object.keys(riskTierNames).join(", ");
  throw new GatewayError("invalid-params", `rule.condition.risk_tiers: must be of ${allowed}`);
}

type RuleObligations = NonNullable<RuleResource["obligations"]>;

function toObligations(message: Obligations): RuleObligations {
  const { step_up, audit_class, rate_limit } = message;
  return {
    scopes: orNone(message.scopes),
    stepUp: step_up
      ? {
          acrValues: step_up.acr_values,
          amrValues: step_up.amr_values,
          maxAgeSeconds: step_up.max_age_seconds,
        }
      : undefined,
    approval: message.approval || undefined,
    redaction: orUndefined(message.redaction),
    auditClass: toAuditClass(audit_class),
    rateTier: orUndefined(message.rate_tier),
    rateLimit: rate_limit
      ? { requests: rate_limit.requests, windowSeconds: rate_limit.window_seconds }
      : undefined,
  };
}

function toAuditClass(text: string): RuleObligations["auditClass"] {
  if (text === "") return undefined;
  if (text === "A+" || text === "A" || text === "B") return text;
  const allowed = 'must be "A+", "A" or "B"';
  throw new GatewayError("invalid-params", `rule.obligations.audit_class: ${allowed}`);
}

function fromObligations(obligations: RuleObligations): Obligations {
  const { stepUp, rateLimit } = obligations;
  return {
    scopes: obligations.scopes ?? [],
    ...(stepUp && {
      step_up: {
        acr_values: stepUp.acrValues,
        amr_values: stepUp.amrValues,
        ...(stepUp.maxAgeSeconds !== undefined && { max_age_seconds: stepUp.maxAgeSeconds }),
      },
    }),
    approval: obligations.approval ?? false,
    redaction: obligations.redaction ?? "",
    audit_class: obligations.auditClass ?? "",
    rate_tier: obligations.rateTier ?? "",
    ...(rateLimit && {
      rate_limit: { requests: rateLimit.requests, window_seconds: rateLimit.windowSeconds },
    }),
  };
}
