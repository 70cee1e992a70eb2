/**
 * Who is operating the gateway, and the set of admin services. No gRPC type here: services see only this.
 */
import type { RecordDraft } from "../audit/record.ts";
import type * as api from "../gen/types.ts";

export const operatorRoles = ["admin", "operator", "auditor", "approver", "dpo", "viewer"] as const;
export type OperatorRole = (typeof operatorRoles)[number];

export interface Operator {
  readonly name: string;
  readonly roles: readonly OperatorRole[];
  /** Undefined = of all tenants; else everything but this tenant's own looks unknown. */
  readonly tenant?: string | undefined;
}

/** An operator in the middle of one RPC. */
export interface Caller extends Operator {
  /** Aborts when the operator cancels, the deadline passes, or the server stops. */
  readonly signal: AbortSignal;
  /** Aborts as soon as the server takes no new calls: streams without an end of their own stop then. */
  readonly draining: AbortSignal;
  /** Adds facts to the outcome record of this RPC: counts, the state revision; nothing personal, no secret. */
  note(facts: RecordDraft["facts"]): void;
}

/** A type and not an interface, so that `handle.ts` may look services up by name. */
export type AdminServices = {
  readonly ClientService: api.ClientService<Caller>;
  readonly ServerService: api.ServerService<Caller>;
  readonly PolicyService: api.PolicyService<Caller>;
  readonly RetentionService: api.RetentionService<Caller>;
  readonly RevocationService: api.RevocationService<Caller>;
  readonly GrantService: api.GrantService<Caller>;
  readonly AuditService: api.AuditService<Caller>;
  readonly LimitService: api.LimitService<Caller>;
  readonly KeyService: api.KeyService<Caller>;
  readonly CacheService: api.CacheService<Caller>;
  readonly SystemService: api.SystemService<Caller>;
};
