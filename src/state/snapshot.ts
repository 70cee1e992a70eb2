/**
 * The state one call sees from start to end: clients, tokens, servers, policy, limits, rules, all of one revision.
 * Immutable. `build.ts` makes it from the store's resources, `current.ts` holds the one that new calls get.
 */
import type { CompiledPolicy } from "../policy/compile.ts";
import type { PolicyInput } from "../policy/rule.ts";
import type { ServerSpec } from "../servers/spec.ts";
import type {
  ClientResource,
  PolicyDraftResource,
  RetentionRuleResource,
  TokenResource,
  VirtualServerResource,
} from "./resources.ts";

/** What a path's scope means: one server under its own names, a bundle, or the merge of everything. */
export type Scope =
  | { readonly kind: "server"; readonly name: string; readonly server: ServerSpec }
  | { readonly kind: "virtual"; readonly name: string; readonly virtual: VirtualServerResource }
  | { readonly kind: "all"; readonly name: "all" };

/** By `jti`, and by subject with the last moment of issue that is revoked. */
export interface RevokedTokens {
  readonly tokenIds: ReadonlySet<string>;
  readonly subjects: ReadonlyMap<string, number>;
}

export interface Snapshot {
  readonly stateRevision: number;
  readonly clients: ReadonlyMap<string, ClientResource>;
  /** By hex digest of the token. */
  readonly tokens: ReadonlyMap<string, TokenResource>;
  /** Enabled servers by name. */
  readonly servers: ReadonlyMap<string, ServerSpec>;
  readonly scopes: ReadonlyMap<string, Scope>;
  readonly policy: CompiledPolicy;
  /** What the policy was compiled from, to explain its decisions. */
  readonly policyInput: PolicyInput;
  readonly retentionRules: readonly RetentionRuleResource[];
  /** What is revoked of other issuers' tokens, by issuer. */
  readonly revocations: ReadonlyMap<string, RevokedTokens>;
  /** Not in force by being here: for whoever activates and retires them on time. */
  readonly policyDrafts: readonly PolicyDraftResource[];
}

/** The one mutable reference, and who wants to know when it moves. */
export interface CurrentSnapshot {
  get(): Snapshot;
  /** False once its database has not confirmed it for too long: then nothing is allowed (AZ-04). */
  isFresh(): boolean;
  /** Calls back after each swap; returns a stop function. */
  subscribe(changed: (next: Snapshot, previous: Snapshot) => void): () => void;
}
