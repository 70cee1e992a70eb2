/**
 * Keys and what is to be erased between protobuf and the vault's own words.
 */
import { GatewayError } from "../../errors/fault.ts";
import type {
  DestroyKeysRequest,
  KeyGroup as GroupMessage,
  KeyPurpose,
  KeyState,
} from "../../gen/types.ts";
import type { ErasureTarget } from "../../retention/erasure-target.ts";
import type { KeyGroup } from "../../vault/sweeps.ts";
import { keyFor } from "./common.ts";

const purposes = {
  KEY_PURPOSE_KEK: "kek",
  KEY_PURPOSE_SUBJECT: "subject",
  KEY_PURPOSE_CLASS: "class",
  KEY_PURPOSE_INDEX: "index",
} as const satisfies Partial<Record<KeyPurpose, KeyGroup["purpose"]>>;

const states = {
  KEY_STATE_ACTIVE: "active",
  KEY_STATE_DECRYPT_ONLY: "decrypt-only",
  KEY_STATE_DESTROYED: "destroyed",
} as const satisfies Partial<Record<KeyState, KeyGroup["state"]>>;

/** Undefined = all purposes. */
export function toPurpose(purpose: KeyPurpose): KeyGroup["purpose"] | "node" | undefined {
  if (purpose === "KEY_PURPOSE_NODE") return "node";
  return purpose === "KEY_PURPOSE_UNSPECIFIED" ? undefined : purposes[purpose];
}

export function fromKeyGroup(group: KeyGroup): GroupMessage {
  return {
    purpose: keyFor(purposes, group.purpose),
    tenant: group.tenant,
    label: group.label,
    epoch: group.epoch,
    state: keyFor(states, group.state),
    count: group.count,
    oldest_created_at_ms: group.oldestAtMs,
    newest_created_at_ms: group.newestAtMs,
  };
}

/** What is to be erased, of the tenant that is meant. */
export function toErasureTarget(request: DestroyKeysRequest, tenant: string): ErasureTarget {
  const { subject, class: ofClass } = request;
  if (subject !== null && subject !== undefined) {
    if (subject.principal !== "") return { kind: "subject", tenant, principal: subject.principal };
    throw new GatewayError("invalid-params", "subject.principal: must be set");
  }
  if (ofClass === null || ofClass === undefined) {
    throw new GatewayError("invalid-params", "set either subject or class");
  }
  const { data_class: dataClass, month } = ofClass;
  if (dataClass !== "") return { kind: "class", tenant, dataClass, month };
  throw new GatewayError(
    "invalid-params",
    'class.data_class: must be set; "UNCLASSIFIED" is what has no class',
  );
}
