/**
 * Roles, bindings and rules between protobuf and resources.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { Binding, Role, Rule, RuleEffect } from "../../gen/types.ts";
import { bindingShape, roleShape, ruleShape } from "../../state/resource-shapes.ts";
import type { BindingResource, RoleResource, RuleResource } from "../../state/resources.ts";
import type { StoredResource } from "../../storage/store.ts";
import { actions, keyFor, orUndefined, toAction, toMetadata } from "./common.ts";

const effects = {
  RULE_EFFECT_DENY: "deny",
  RULE_EFFECT_ALLOW: "allow",
} as const satisfies Partial<Record<RuleEffect, RuleResource["effect"]>>;

export function toRoleResource(message: Role): RoleResource {
  return {
    name: message.name,
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
    description: role.description,
    permissions: role.permissions.map((permission) => ({
      resource: permission.resource,
      actions: permission.actions.map((action) => keyFor(actions, action)),
    })),
    metadata: toMetadata(stored),
  };
}

export function toBindingResource({ name, roles, users, groups }: Binding): BindingResource {
  return { name, roles, users, groups };
}

export function fromBinding(stored: StoredResource): Binding {
  return { ...bindingShape(stored.body, "binding"), metadata: toMetadata(stored) };
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
    effect: effects[message.effect],
    priority: message.priority,
    condition: {
      server: orUndefined(condition?.server ?? ""),
      targetPattern: orUndefined(condition?.target_pattern ?? ""),
      ignoreCase: condition?.ignore_case ?? false,
      principal: orUndefined(condition?.principal ?? ""),
      action: action === "POLICY_ACTION_UNSPECIFIED" ? undefined : actions[action],
    },
    enabled: message.enabled ?? true,
  };
}

export function fromRule(stored: StoredResource): Rule {
  const { name, effect, priority, condition, enabled } = ruleShape(stored.body, "rule");
  const { action } = condition;
  return {
    name,
    effect: keyFor(effects, effect),
    priority,
    condition: {
      server: condition.server ?? "",
      target_pattern: condition.targetPattern ?? "",
      ignore_case: condition.ignoreCase,
      principal: condition.principal ?? "",
      action: action === undefined ? "POLICY_ACTION_UNSPECIFIED" : keyFor(actions, action),
    },
    enabled,
    metadata: toMetadata(stored),
  };
}
