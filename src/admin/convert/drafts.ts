/**
 * Drafts, revisions and the objects in them between protobuf and resources.
 */
import { GatewayError } from "../../errors/fault.ts";
import type {
  PolicyDifference as DifferenceMessage,
  DraftState as DraftStateMessage,
  PolicyObjectKind as KindMessage,
  PolicyChange,
  PolicyDraft,
  PolicyObject,
  PolicyObjectName,
  PolicyRevision,
} from "../../gen/types.ts";
import { policyDraftShape } from "../../state/draft-shapes.ts";
import { readPart } from "../../state/policy-objects.ts";
import { clientGrantsShape, serverToolsShape } from "../../state/resource-shapes.ts";
import type {
  DraftState,
  PolicyDifference,
  PolicyDraftResource,
  PolicyObjectKey,
  PolicyObjectKind,
  PolicyRevisionResource,
} from "../../state/resources.ts";
import type { StoredResource } from "../../storage/store.ts";
import { keyFor, orUndefined, riskTierNames, toMetadata } from "./common.ts";
import {
  fromBinding,
  fromRole,
  fromRule,
  toBindingResource,
  toRoleResource,
  toRuleResource,
} from "./policy.ts";

export const draftStateNames = {
  DRAFT_STATE_DRAFT: "draft",
  DRAFT_STATE_PROPOSED: "proposed",
  DRAFT_STATE_APPROVED: "approved",
  DRAFT_STATE_ACTIVE: "active",
  DRAFT_STATE_RETIRED: "retired",
  DRAFT_STATE_REJECTED: "rejected",
} as const satisfies Readonly<
  Record<Exclude<DraftStateMessage, "DRAFT_STATE_UNSPECIFIED">, DraftState>
>;

const kindNames = {
  POLICY_OBJECT_KIND_ROLE: "role",
  POLICY_OBJECT_KIND_BINDING: "binding",
  POLICY_OBJECT_KIND_RULE: "rule",
  POLICY_OBJECT_KIND_CLIENT_GRANTS: "client",
  POLICY_OBJECT_KIND_SERVER_TOOLS: "server",
} as const satisfies Readonly<
  Record<Exclude<KindMessage, "POLICY_OBJECT_KIND_UNSPECIFIED">, PolicyObjectKind>
>;

/** An object as a request wants it; `part` undefined = it shall not be. */
export interface WantedObject extends PolicyObjectKey {
  readonly part: object | undefined;
}

/** What a request may say of a draft. */
export interface WantedDraft
  extends Pick<
    PolicyDraftResource,
    "name" | "description" | "tenant" | "effectiveFromMs" | "effectiveToMs"
  > {
  readonly objects: readonly WantedObject[];
}

export function toWantedDraft(message: PolicyDraft): WantedDraft {
  refuseOwn(message);
  return {
    name: message.name,
    description: message.description,
    tenant: orUndefined(message.tenant),
    effectiveFromMs: message.effective_from_ms,
    effectiveToMs: message.effective_to_ms,
    objects: message.changes.map((change, index) => toWanted(change, `changes[${index}]`)),
  };
}

/** Where a draft stands is not for its author to say (AZ-18). */
function refuseOwn(message: PolicyDraft): void {
  const { state, author, editors, approved_by, steps, differences, conflicts, undoes } = message;
  const texts = { author, approved_by, undoes };
  const lists = { editors, steps, differences, conflicts };
  const given = [
    ...(state === "DRAFT_STATE_UNSPECIFIED" ? [] : ["state"]),
    ...Object.entries(texts).flatMap(([name, text]) => (text === "" ? [] : [name])),
    ...Object.entries(lists).flatMap(([name, list]) => (list.length === 0 ? [] : [name])),
  ];
  if (given.length === 0) return;
  throw new GatewayError("invalid-params", `draft.${given[0]}: set by the gateway; leave it out`);
}

function toWanted(change: PolicyChange, path: string): WantedObject {
  if (change.put && !change.delete) return toPut(change.put, `${path}.put`);
  if (change.delete && !change.put) {
    const key = toObjectKey(change.delete, `${path}.delete`);
    if (key.kind === "client" || key.kind === "server") {
      throw new GatewayError(
        "invalid-params",
        `${path}.delete: put empty lists instead; a draft registers and deletes no ${key.kind}`,
      );
    }
    return { ...key, part: undefined };
  }
  throw new GatewayError("invalid-params", `${path}: needs put or delete, and not both`);
}

function toPut(put: PolicyObject, path: string): WantedObject {
  if (put.role) {
    const part = toRoleResource(put.role);
    return { kind: "role", tenant: part.tenant, name: part.name, part };
  }
  if (put.binding) {
    const part = toBindingResource(put.binding);
    return { kind: "binding", tenant: part.tenant, name: part.name, part };
  }
  if (put.rule) {
    const part = toRuleResource(put.rule);
    return { kind: "rule", tenant: part.tenant, name: part.name, part };
  }
  if (put.client_grants) {
    const { id, allowed_tools, allowed_resources, allowed_prompts, roles } = put.client_grants;
    const lists = {
      allowedTools: allowed_tools,
      allowedResources: allowed_resources,
      allowedPrompts: allowed_prompts,
      roles,
    };
    return { kind: "client", name: id, part: lists };
  }
  if (put.server_tools) {
    const tools = put.server_tools.tools.map(({ tool, risk_tier, required_roles }) => {
      const riskTier = risk_tier === "RISK_TIER_UNSPECIFIED" ? "low" : riskTierNames[risk_tier];
      return { tool, riskTier, requiredRoles: required_roles };
    });
    return { kind: "server", name: put.server_tools.server, part: { tools } };
  }
  const allowed = "role, binding, rule, client_grants, server_tools";
  throw new GatewayError("invalid-params", `${path}: needs one of ${allowed}`);
}

function toObjectKey({ kind, name, tenant }: PolicyObjectName, path: string): PolicyObjectKey {
  if (kind === "POLICY_OBJECT_KIND_UNSPECIFIED") {
    const allowed = Object.keys(kindNames).join(", ");
    throw new GatewayError("invalid-params", `${path}.kind: must be one of ${allowed}`);
  }
  return { kind: kindNames[kind], name, tenant: orUndefined(tenant) };
}

export function fromObjectKey({ kind, tenant = "", name }: PolicyObjectKey): PolicyObjectName {
  return { kind: keyFor(kindNames, kind), name, tenant };
}

export function fromDraft(stored: StoredResource, conflicts: readonly string[] = []): PolicyDraft {
  const draft = policyDraftShape(stored.body, "draft");
  return {
    name: draft.name,
    description: draft.description,
    changes: draft.changes.map(fromChange),
    ...(draft.effectiveFromMs !== undefined && { effective_from_ms: draft.effectiveFromMs }),
    ...(draft.effectiveToMs !== undefined && { effective_to_ms: draft.effectiveToMs }),
    state: keyFor(draftStateNames, draft.state),
    author: draft.author,
    editors: draft.editors,
    approved_by: draft.approvedBy ?? "",
    steps: draft.steps.map(({ atMs, by, state, comment }) => {
      return { time_ms: atMs, by, state: keyFor(draftStateNames, state), comment };
    }),
    differences: draft.changes.map(fromDifference),
    conflicts,
    metadata: toMetadata(stored),
    tenant: draft.tenant ?? "",
    undoes: draft.undoes ?? "",
  };
}

/** What is said of a client or server is taken away by saying nothing, since the thing itself stays. */
function fromChange(change: PolicyDifference): PolicyChange {
  const { kind, name, after } = change;
  if (after !== undefined) return { put: fromPart(change, after) };
  if (kind === "server") return { put: { server_tools: { server: name, tools: [] } } };
  if (kind !== "client") return { delete: fromObjectKey(change) };
  const lists = { allowed_tools: [], allowed_resources: [], allowed_prompts: [], roles: [] };
  return { put: { client_grants: { id: name, ...lists } } };
}

function fromDifference(difference: PolicyDifference): DifferenceMessage {
  const { before, after } = difference;
  return {
    object: fromObjectKey(difference),
    ...(before && { before: fromPart(difference, before) }),
    ...(after && { after: fromPart(difference, after) }),
  };
}

export function fromRevision(revision: PolicyRevisionResource): PolicyRevision {
  return {
    state_revision: revision.stateRevision,
    time_ms: revision.atMs,
    by: revision.by,
    draft: revision.draft ?? "",
    differences: revision.changes.map(fromDifference),
  };
}

/** A part as the message of its kind; it has no metadata, because it lies in a draft or in the past. */
function fromPart({ kind, name, tenant }: PolicyObjectKey, part: object): PolicyObject {
  const body = readPart(kind, part, kind);
  const stored = { kind, name, tenant, body, createdAtMs: 0, updatedAtMs: 0, stateRevision: 0 };
  switch (kind) {
    case "role":
      return { role: { ...fromRole(stored), metadata: null } };
    case "binding":
      return { binding: { ...fromBinding(stored), metadata: null } };
    case "rule":
      return { rule: { ...fromRule(stored), metadata: null } };
    case "client": {
      const { allowedTools, allowedResources, allowedPrompts, roles } = clientGrantsShape(part, "");
      const lists = { allowed_resources: allowedResources, allowed_prompts: allowedPrompts };
      return { client_grants: { id: name, allowed_tools: allowedTools, ...lists, roles } };
    }
    case "server": {
      const tools = serverToolsShape(part, "").tools.map(({ tool, riskTier, requiredRoles }) => {
        return { tool, risk_tier: keyFor(riskTierNames, riskTier), required_roles: requiredRoles };
      });
      return { server_tools: { server: name, tools } };
    }
    default:
      return kind satisfies never;
  }
}
