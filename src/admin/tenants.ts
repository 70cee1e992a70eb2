/**
 * What an operator of a tenant sees of the state: the tenant's own resources, and nothing else at all. Everything
 * else looks as if it were not there, common resources too, which belong to the operators of the whole gateway (AZ-15).
 * An operator without a tenant sees everything. Every read and write of `change-state.ts` passes through here.
 */
import { GatewayError } from "../errors/fault.ts";
import type { StoredResource } from "../storage/store.ts";
import type { Operator } from "./caller.ts";
import type { ResourcePlace, StateView } from "./state-view.ts";

/** The part of an operator that says what is theirs. */
export type Onlooker = Pick<Operator, "tenant">;

/** Whether something of this tenant (undefined = of none) is the operator's to see and change. */
export function isOwn({ tenant }: Onlooker, of: string | undefined): boolean {
  return tenant === undefined || tenant === of;
}

/** The state as the operator sees it. */
export function visibleTo(operator: Onlooker, view: StateView): StateView {
  if (operator.tenant === undefined) return view;
  const isVisible = (stored: StoredResource | undefined) =>
    stored !== undefined && isOwn(operator, tenantOf(view, stored));
  return {
    ...view,
    find(kind, name, tenant) {
      const found = view.find(kind, name, tenant);
      return isVisible(found) ? found : undefined;
    },
    list: (kind) => view.list(kind).filter(isVisible),
  };
}

/** Refuses changes to what the operator cannot see, before or after them: nothing may leave or enter a tenant. */
export function needOwn(
  operator: Onlooker,
  changes: readonly ResourcePlace[],
  states: readonly StateView[],
): void {
  if (operator.tenant === undefined) return;
  for (const view of states) {
    const own = visibleTo(operator, view);
    for (const { kind, name, tenant } of changes) {
      if (view.find(kind, name, tenant) === undefined) continue;
      if (own.find(kind, name, tenant) === undefined) throw notThere(kind, name, true);
    }
  }
}

/** The one tenant that all changes are about, for the record; undefined where there are several, or none. */
export function tenantOfChanges(
  changes: readonly ResourcePlace[],
  states: readonly StateView[],
): string | undefined {
  const tenants = new Set<string | undefined>();
  for (const view of states) {
    for (const { kind, name, tenant } of changes) {
      const found = view.find(kind, name, tenant);
      if (found !== undefined) tenants.add(tenantOf(view, found));
    }
  }
  const [tenant] = tenants;
  return tenants.size === 1 ? tenant : undefined;
}

/** A new body of the operator's: of their tenant, whether it says so or not. */
export function withOwnTenant<T extends object>(operator: Onlooker, body: T): T {
  const { tenant } = operator;
  if (tenant === undefined) return body;
  const given = Reflect.get(body, "tenant") as unknown;
  if (given === undefined || given === tenant) return { ...body, tenant };
  throw new GatewayError("invalid-params", `tenant: must be empty or "${tenant}", your own`, {
    reason: otherTenant,
  });
}

/** Which tenant a request means that names one: an operator of a tenant need not say it. */
export function namedTenant(operator: Onlooker, given: string): string | undefined {
  return given === "" ? operator.tenant : given;
}

/** The tenant that a question is narrowed to: another than the operator's own is one that is not there. */
export function needTenant(operator: Onlooker, given: string): string | undefined {
  const tenant = namedTenant(operator, given);
  if (isOwn(operator, tenant)) return tenant;
  throw notThere("tenant", given, true);
}

/** In the record only: an operator asked for what another tenant, or none, has. */
export const otherTenant = "other-tenant";

/** One answer for what is nowhere and for what is somebody else's; only the record tells them apart. */
export function notThere(noun: string, name: string, isElsewhere: boolean): GatewayError {
  const reason = isElsewhere ? otherTenant : "not-found";
  const message = `There is no ${noun} "${name.slice(0, 64)}"`;
  return new GatewayError("resource-not-found", message, { reason });
}

/** A token is its client's; every other kind says itself whose it is. A body that cannot be read is nobody's. */
function tenantOf(view: StateView, { kind, body }: StoredResource): string | undefined {
  if (kind === "token") {
    const client = view.find("client", String(memberOf(body, "clientId")));
    return client === undefined ? undefined : tenantOf(view, client);
  }
  const tenant = memberOf(body, "tenant");
  return typeof tenant === "string" ? tenant : undefined;
}

function memberOf(body: unknown, name: string): unknown {
  return typeof body === "object" && body !== null ? Reflect.get(body, name) : undefined;
}
