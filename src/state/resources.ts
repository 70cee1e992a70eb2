/**
 * The objects an operator manages, as they lie in the store and in the snapshot. Plain JSON values; `admin/convert`
 * maps them to and from protobuf, `build.ts` checks them whole and makes a snapshot of them.
 */
import type { Binding, RiskTier, Role, Rule } from "../policy/rule.ts";
import type { ServerSpec } from "../servers/spec.ts";

export const resourceKinds = [
  "client",
  "token",
  "server",
  "virtual-server",
  "role",
  "binding",
  "rule",
  "retention-rule",
  "revocation",
  "policy-draft",
  "policy-revision",
] as const;
export type ResourceKind = (typeof resourceKinds)[number];

/**
 * Kinds whose names are unique within a tenant: policy, which tenants write side by side. Clients, servers and virtual
 * servers are named in URLs, in credentials and in principal ids, where no tenant stands beside the name, so theirs are
 * unique everywhere and the tenant is a field; tokens and retention rules follow them.
 */
export const tenantKinds: ReadonlySet<ResourceKind> = new Set(["role", "binding", "rule"]);

export interface ClientLimits {
  /** Name of a tier of the configuration, which holds where the members below say nothing. */
  readonly tier: string;
  readonly requestsPerMinute: number;
  readonly burst: number;
  readonly toolRequestsPerMinute: number;
  readonly toolBurst: number;
  /** Of the next five, 0 = no such limit (`serverBurst`: as many as in a minute). */
  readonly serverRequestsPerMinute: number;
  readonly serverBurst: number;
  readonly requestsPer10Seconds: number;
  readonly requestsPerHour: number;
  readonly requestsPerDay: number;
  readonly maxInFlight: number;
  readonly requestBytesMax: number;
}

export interface ClientResource {
  readonly id: string;
  /** Undefined = of no tenant. Becomes the tenant of its principals. */
  readonly tenant?: string | undefined;
  readonly displayName: string;
  readonly enabled: boolean;
  /** `server__tool`, `server__*` or `*`; an empty list grants nothing. */
  readonly allowedTools: readonly string[];
  /** URI patterns; `*` stands for any run of characters. */
  readonly allowedResources: readonly string[];
  /** `server__prompt`, `server__*` or `*`. */
  readonly allowedPrompts: readonly string[];
  readonly roles: readonly string[];
  /** Browser origins this client may come from, besides the gateway's own list. */
  readonly allowedOrigins: readonly string[];
  /** Addresses and CIDR ranges it may call from, and may not; empty allowed = from everywhere. */
  readonly allowedNetworks?: readonly string[] | undefined;
  readonly deniedNetworks?: readonly string[] | undefined;
  /** `sha256:…`, `dns:…` or `uri:…`: certificates that identify it, and that its tokens need beside them. */
  readonly certificates?: readonly string[] | undefined;
  /** Keys it signs requests with, and whether it must. */
  readonly signingKeys?: readonly SigningKeyResource[] | undefined;
  readonly requireSignatures?: boolean | undefined;
  /** Overrides of the configured defaults; a missing member keeps the default. */
  readonly limits: Partial<ClientLimits>;
}

/** A public key (PEM), or the salt that a shared secret is derived with; see `identity/proof/signing-key.ts`. */
export interface SigningKeyResource {
  readonly keyId: string;
  readonly algorithm: "hmac-sha256" | "ed25519" | "ecdsa-p256-sha256" | "rsa-pss-sha512";
  readonly publicKey: string | undefined;
  readonly salt: string | undefined;
}

/** A client token as stored: only its keyed hash. The resource's name is the token id. */
export interface TokenResource {
  readonly id: string;
  readonly clientId: string;
  /** Hex HMAC-SHA-256 of the token under the node's token key. */
  readonly digest: string;
  /** Which key that was; see `identity/token-key.ts`. */
  readonly keyId: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | undefined;
}

export type ServerResource = ServerSpec;

export interface VirtualServerResource {
  readonly name: string;
  /** Undefined = for every tenant. */
  readonly tenant?: string | undefined;
  readonly description: string;
  readonly enabled: boolean;
  /** Original names; exposed as `server__name` unless `exposedName` says otherwise. */
  readonly tools: readonly {
    readonly server: string;
    readonly name: string;
    readonly exposedName: string | undefined;
  }[];
  readonly prompts: readonly {
    readonly server: string;
    readonly name: string;
    readonly exposedName: string | undefined;
  }[];
  /** URI patterns by server. */
  readonly resources: readonly { readonly server: string; readonly uriPattern: string }[];
}

export const policyActions = [
  "list_tools",
  "invoke_tool",
  "read_resource",
  "get_prompt",
  "*",
] as const;
export type PolicyAction = (typeof policyActions)[number];

/** What operators write is what policy compiles; only the description is for people alone. */
export type RoleResource = Role & { readonly description: string };
export type BindingResource = Binding;
export type RuleResource = Rule;

export interface RetentionRuleResource {
  readonly id: string;
  /** Undefined = for the records of every tenant, and of none. */
  readonly tenant?: string | undefined;
  readonly description: string;
  readonly policyType: "time_based";
  readonly action: "delete" | "retain";
  /** Records older than this are due. At least 1. */
  readonly retentionDays: number;
  readonly dataClass: string | undefined;
  readonly event: string | undefined;
  readonly clientId: string | undefined;
  /** Higher first; `retain` beats `delete` whatever the priority. */
  readonly priority: number;
  readonly enabled: boolean;
}

/** Tokens of another issuer that are no longer accepted: one by its `jti`, or a subject's issued until a moment. */
export interface RevocationResource {
  readonly id: string;
  readonly issuer: string;
  readonly tokenId: string | undefined;
  readonly subject: string | undefined;
  /** With a subject only. */
  readonly issuedUntilMs: number | undefined;
  /** When nothing it revokes can be valid any more; undefined = kept. */
  readonly expiresAtMs: number | undefined;
  readonly reason: string;
}

/** Kinds of which something is policy; `policy-objects.ts` tells what. */
export const policyObjectKinds = ["role", "binding", "rule", "client", "server"] as const;
export type PolicyObjectKind = (typeof policyObjectKinds)[number];

/** Names one object; compared member by member, never joined to one text. */
export interface PolicyObjectKey {
  readonly kind: PolicyObjectKind;
  readonly tenant?: string | undefined;
  readonly name: string;
}

/** An object as it was or would be; undefined = not there, or nothing said. */
export interface PolicyDifference extends PolicyObjectKey {
  readonly before?: object | undefined;
  readonly after?: object | undefined;
}

/** The policy of a registered client. */
export interface ClientGrantsPart
  extends Pick<
    ClientResource,
    "tenant" | "allowedTools" | "allowedResources" | "allowedPrompts" | "roles"
  > {}

/** The policy of a server: what its tools risk and which roles they need; tools without either are left out. */
export interface ServerToolsPart {
  readonly tools: readonly {
    readonly tool: string;
    readonly riskTier: RiskTier;
    readonly requiredRoles: readonly string[];
  }[];
}

export const draftStates = [
  "draft",
  "proposed",
  "approved",
  "active",
  "retired",
  "rejected",
] as const;
export type DraftState = (typeof draftStates)[number];

/** Changes of policy that are looked at as a whole before they are in force. */
export interface PolicyDraftResource {
  readonly name: string;
  /** Of the operator of a tenant who made it; undefined = of no tenant. */
  readonly tenant?: string | undefined;
  readonly description: string;
  readonly state: DraftState;
  /** Names of operators. Whoever wrote anything of it is an editor, the author too. */
  readonly author: string;
  readonly editors: readonly string[];
  readonly approvedBy: string | undefined;
  /** The draft that is retired when this one is activated. */
  readonly undoes: string | undefined;
  readonly effectiveFromMs: number | undefined;
  readonly effectiveToMs: number | undefined;
  /** `before` is what the draft is based on. */
  readonly changes: readonly PolicyDifference[];
  readonly steps: readonly DraftStep[];
}

export interface DraftStep {
  readonly atMs: number;
  readonly by: string;
  /** The state this step led to. */
  readonly state: DraftState;
  readonly comment: string;
}

/** What one write changed of policy. Its name is the state revision in twelve digits, so that names sort. */
export interface PolicyRevisionResource {
  readonly name: string;
  readonly stateRevision: number;
  readonly atMs: number;
  readonly by: string;
  readonly draft: string | undefined;
  readonly changes: readonly PolicyDifference[];
}
