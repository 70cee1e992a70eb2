/**
 * Whether something that a tenant may own is there for a principal at all. What is another tenant's is not merely
 * forbidden: it has no name here, so that neither an answer nor the record of a refusal tells of it (AZ-15). Asked by
 * authorize, before policy.
 */
import type { Principal } from "../identity/principal.ts";
import type { Scope, Snapshot } from "../state/snapshot.ts";

/** A thing of no tenant is there for everyone. */
export function isInSight(
  { tenant }: { readonly tenant?: string | undefined },
  principal: Pick<Principal, "tenant">,
): boolean {
  return tenant === undefined || tenant === principal.tenant;
}

/** A server that is not registered has nobody's tenant: what becomes of it is another question. */
export function isServerInSight(snapshot: Snapshot, principal: Principal, name: string): boolean {
  const server = snapshot.servers.get(name);
  return server === undefined || isInSight(server, principal);
}

export function isScopeInSight(scope: Scope, principal: Principal): boolean {
  switch (scope.kind) {
    case "all":
      return true;
    case "server":
      return isInSight(scope.server, principal);
    case "virtual":
      return isInSight(scope.virtual, principal);
    default:
      return scope satisfies never;
  }
}
