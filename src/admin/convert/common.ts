/**
 * What every conversion between protobuf messages and resources shares. Conversions only change shapes: what is
 * allowed in a resource is stated in `state/resource-shapes.ts` and checked by `state/build.ts`.
 */
import { GatewayError } from "../../errors/fault.ts";
import type {
  PolicyAction as ActionMessage,
  ResourceMetadata,
  RiskTier as RiskTierMessage,
} from "../../gen/types.ts";
import type { RiskTier } from "../../policy/rule.ts";
import type { PolicyAction } from "../../state/resources.ts";
import type { StoredResource } from "../../storage/store.ts";

/** What a write-only value looks like in every answer; in a request it keeps the stored value. */
export const redacted = "[redacted]";

export function needMessage<T>(message: T | null | undefined, field: string): T {
  if (message !== null && message !== undefined) return message;
  throw new GatewayError("invalid-params", `${field}: must be set`);
}

export function toMetadata(stored: StoredResource): ResourceMetadata {
  return {
    created_at_ms: stored.createdAtMs,
    updated_at_ms: stored.updatedAtMs,
    state_revision: stored.stateRevision,
  };
}

/** proto3 cannot tell an empty text from an unset one; where a resource can, empty means unset. */
export function orUndefined(text: string): string | undefined {
  return text === "" ? undefined : text;
}

/** Empty means unset, for lists that say "one of these". */
export function orNone<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** Zero means "the default" for numbers that may not be zero. */
export function orDefault(value: number, otherwise: number): number {
  return value === 0 ? otherwise : value;
}

/** The message's name for a value: the other direction of a table that lists each value once. */
export function keyFor<K extends string, V>(table: Readonly<Record<K, V>>, value: V): K {
  for (const key of Object.keys(table) as K[]) if (table[key] === value) return key;
  throw new Error(`no message value for ${String(value)}`);
}

export const actions = {
  POLICY_ACTION_ANY: "*",
  POLICY_ACTION_LIST_TOOLS: "list_tools",
  POLICY_ACTION_INVOKE_TOOL: "invoke_tool",
  POLICY_ACTION_READ_RESOURCE: "read_resource",
  POLICY_ACTION_GET_PROMPT: "get_prompt",
} as const satisfies Readonly<
  Record<Exclude<ActionMessage, "POLICY_ACTION_UNSPECIFIED">, PolicyAction>
>;

export const riskTierNames = {
  RISK_TIER_LOW: "low",
  RISK_TIER_MEDIUM: "medium",
  RISK_TIER_HIGH: "high",
  RISK_TIER_CRITICAL: "critical",
} as const satisfies Readonly<Record<Exclude<RiskTierMessage, "RISK_TIER_UNSPECIFIED">, RiskTier>>;

export function toAction(action: ActionMessage, field: string): PolicyAction {
  if (action !== "POLICY_ACTION_UNSPECIFIED") return actions[action];
  throw new GatewayError(
    "invalid-params",
    `${field}: must be one of ${Object.keys(actions).join(", ")}`,
  );
}
