/**
 * Whether what resources refer to is there. A reference from a tenant means the tenant's own resource, else the common
 * one of that name; what belongs to another tenant is not there, in the same words as what is nowhere (AZ-15). Called
 * by `build.ts` with everything of one revision.
 */
import type { ServerSpec } from "../servers/spec.ts";
import { refuseField } from "./body-shape.ts";
import type {
  BindingResource,
  ClientResource,
  RoleResource,
  TokenResource,
  VirtualServerResource,
} from "./resources.ts";

/** What refers to others, and what is referred to. */
export interface Referring {
  readonly clients: ReadonlyMap<string, ClientResource>;
  readonly tokens: ReadonlyMap<string, TokenResource>;
  readonly servers: ReadonlyMap<string, ServerSpec>;
  readonly virtualServers: ReadonlyMap<string, VirtualServerResource>;
  readonly roles: readonly RoleResource[];
  readonly bindings: readonly BindingResource[];
}

type Tenant = string | undefined;

/** Throws invalid-params, naming the first reference that leads nowhere. */
export function checkReferences(found: Referring): void {
  const hasRole = createRoleSearch(found.roles);
  for (const { id, tenant, roles } of found.clients.values()) {
    needAll(`client "${id}": roles`, roles, (role) => hasRole(tenant, role), "role");
  }
  for (const { name, tenant, roles } of found.bindings) {
    needAll(`binding "${name}": roles`, roles, (role) => hasRole(tenant, role), "role");
  }
  for (const { id, clientId } of found.tokens.values()) {
    needAll(`token "${id}": clientId`, [clientId], (one) => found.clients.has(one), "client");
  }
  checkCertificates(found.clients.values());
  for (const virtual of found.virtualServers.values()) checkVirtualServer(virtual, found);
}

/** Its own tenant's role hides the common one of the same name; for whether there is one, either will do. */
function createRoleSearch(
  roles: readonly RoleResource[],
): (tenant: Tenant, name: string) => boolean {
  const byTenant = new Map<Tenant, Set<string>>();
  for (const { tenant, name } of roles) {
    const names = byTenant.get(tenant) ?? new Set();
    byTenant.set(tenant, names.add(name));
  }
  return (tenant, name) =>
    byTenant.get(tenant)?.has(name) === true || byTenant.get(undefined)?.has(name) === true;
}

/** A certificate that names two clients would name nobody. Whose the other is, may be another tenant's affair. */
function checkCertificates(clients: Iterable<ClientResource>): void {
  const named = new Set<string>();
  for (const { id, certificates = [] } of clients) {
    for (const name of certificates) {
      if (named.has(name)) {
        refuseField(`client "${id}": certificates`, `${name} names another client as well`);
      }
      named.add(name);
    }
  }
}

function checkVirtualServer(virtual: VirtualServerResource, { servers }: Referring): void {
  const path = `virtual-server "${virtual.name}"`;
  if (servers.has(virtual.name)) refuseField(path, "a server has this name already");
  const members = [...virtual.tools, ...virtual.prompts, ...virtual.resources];
  const names = members.map((member) => member.server);
  needAll(path, names, (name) => isSeenBy(virtual.tenant, servers.get(name)), "server");
  needDistinct(`${path}: tools`, virtual.tools);
  needDistinct(`${path}: prompts`, virtual.prompts);
}

/** A common bundle is for everyone, so a tenant's own server may not be in it. */
function isSeenBy(tenant: Tenant, server: ServerSpec | undefined): boolean {
  if (server === undefined) return false;
  return server.tenant === undefined || server.tenant === tenant;
}

function needAll(
  path: string,
  names: readonly string[],
  isThere: (name: string) => boolean,
  noun: string,
): void {
  const missing = names.find((name) => !isThere(name));
  if (missing !== undefined) refuseField(path, `there is no ${noun} "${missing}"`);
}

function needDistinct(path: string, names: VirtualServerResource["tools"]): void {
  const seen = new Set<string>();
  for (const one of names) {
    const exposed = one.exposedName ?? `${one.server}__${one.name}`;
    if (seen.has(exposed)) refuseField(path, `"${exposed}" would be exposed twice`);
    seen.add(exposed);
  }
}
