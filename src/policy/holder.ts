/**
 * Who asks, with everything that follows from it worked out once: tenant, roles, grants, and what expressions may read.
 * Tenants are kept apart here: a tenant's roles, bindings and client lists are for its own principals alone, and every
 * look-up by tenant and name is two look-ups, never one joined key (AZ-17).
 */
import { GatewayError } from "../errors/fault.ts";
import { once } from "../lib/once.ts";
import { fromParsed, type Value } from "./expression-values.ts";
import { type Grants, parseClientGrants, parseRoleGrants } from "./grants.ts";
import { allowed } from "./reasons.ts";
import type { Asker, Binding, Decision, PolicyInput, Rule } from "./rule.ts";

export interface Holder {
  readonly asker: Asker;
  /** Names of all roles held, unknown ones included. */
  readonly roles: ReadonlySet<string>;
  /** Those names that mean the common role: a tenant's own role of a name hides it. */
  readonly commonRoles: ReadonlySet<string>;
  /** The client's lists, then the roles by name, each with what is decided where it grants. */
  readonly granting: readonly { readonly grants: Grants; readonly decision: Decision }[];
  /** `principal` of expressions, with all roles held. */
  principal(): Value;
  /** The same with common roles alone. */
  commonPrincipal(): Value;
}

type Tenant = string | undefined;
/** By tenant, then by name. */
export type ByTenant<T> = ReadonlyMap<Tenant, ReadonlyMap<string, T>>;

/** Gives the holder for any asker. Throws invalid-params where one name exists twice or grants are unusable. */
export function compileHolders(input: PolicyInput): (asker: Asker) => Holder {
  const clients = indexByTenant(input.clients, "client", ({ id }) => id);
  const granted = new Map(
    input.clients.map((client) => [
      client,
      {
        grants: parseClientGrants(client),
        decision: allowed(`client:${client.id}`, ` by the list of client ${client.id}`),
      },
    ]),
  );
  const roles = indexByTenant(input.roles, "role", ({ name }) => name);
  const permitted = new Map(
    input.roles.map((role) => [
      role,
      {
        grants: parseRoleGrants(role),
        decision: allowed(`role:${role.name}`, ` by role ${role.name}`),
      },
    ]),
  );
  indexByTenant(input.bindings, "binding", ({ name }) => name);
  const bindings = indexBindings(input.bindings);

  return (asker) => {
    const { tenant } = asker;
    const held = new Set(asker.roles);
    for (const binding of bindings(asker)) for (const role of binding.roles) held.add(role);
    const own = tenant === undefined ? undefined : roles.get(tenant);
    const names = [...held].sort();
    const client = clients.get(tenant)?.get(asker.clientId ?? "");
    const listed = client?.enabled === true ? granted.get(client) : undefined;
    const common = own === undefined ? held : new Set(names.filter((name) => !own.has(name)));
    const principal = once(() => describe(asker, held));
    return {
      asker,
      roles: held,
      commonRoles: common,
      granting: [
        ...(listed === undefined ? [] : [listed]),
        ...names.flatMap((name) => {
          const role = own?.get(name) ?? roles.get(undefined)?.get(name);
          return (role && permitted.get(role)) ?? [];
        }),
      ],
      principal,
      commonPrincipal: own === undefined ? principal : once(() => describe(asker, common)),
    };
  };
}

/** Whether a rule or binding is about principals of this tenant. */
export function isOfTenant({ tenant }: { readonly tenant?: Tenant }, asker: Asker): boolean {
  return tenant === undefined || tenant === asker.tenant;
}

/** Whether a rule or binding that says this name means this asker: its principal id, or its JWT subject. */
export function isNamed(asker: Asker, name: string): boolean {
  return name === asker.id || isBare(name, asker.subject);
}

/** A subject or client id chosen elsewhere must not pass for a principal id by being spelled like one. */
export function isBare(name: string, value: string | undefined): boolean {
  return name === value && !/^(?:client:|user:|anonymous$)/.test(name);
}

/**
 * The roles that a rule means. Where holding one gives a right, a common rule means common roles alone, so that no
 * tenant grants itself something by a role of its own; where it takes one away, the name is enough.
 */
export function rolesMeant(
  rule: Pick<Rule, "tenant" | "effect">,
  holder: Holder,
): ReadonlySet<string> {
  return meansCommonRoles(rule) ? holder.commonRoles : holder.roles;
}

/** `principal` of a rule's expression, with the roles that the rule means. */
export function principalMeant(rule: Pick<Rule, "tenant" | "effect">, holder: Holder): Value {
  return meansCommonRoles(rule) ? holder.commonPrincipal() : holder.principal();
}

function meansCommonRoles({ tenant, effect }: Pick<Rule, "tenant" | "effect">): boolean {
  return tenant === undefined && effect === "allow";
}

export function indexByTenant<T extends { readonly tenant?: Tenant }>(
  list: readonly T[],
  noun: string,
  nameOf: (one: T) => string,
): ByTenant<T> {
  const index = new Map<Tenant, Map<string, T>>();
  for (const one of list) {
    const names = index.get(one.tenant) ?? new Map<string, T>();
    const name = nameOf(one);
    if (names.has(name)) throw new GatewayError("invalid-params", `${noun} "${name}" exists twice`);
    index.set(one.tenant, names.set(name, one));
  }
  return index;
}

function concerns(binding: Binding, asker: Asker): boolean {
  if (!isOfTenant(binding, asker)) return false;
  return (
    binding.users.some((name) => isNamed(asker, name)) ||
    asker.groups.some((group) => binding.groups.includes(group))
  );
}

/** By user and by group, so that a principal looks only at bindings that may concern it. */
function indexBindings(bindings: readonly Binding[]): (asker: Asker) => Iterable<Binding> {
  const byUser = new Map<string, Binding[]>();
  const byGroup = new Map<string, Binding[]>();
  const add = (index: Map<string, Binding[]>, name: string, binding: Binding) => {
    const known = index.get(name);
    if (known === undefined) index.set(name, [binding]);
    else known.push(binding);
  };
  for (const binding of bindings) {
    for (const user of binding.users) add(byUser, user, binding);
    for (const group of binding.groups) add(byGroup, group, binding);
  }
  return (asker) => {
    const named = [asker.id, asker.subject ?? asker.id].flatMap((name) => byUser.get(name) ?? []);
    const grouped = asker.groups.flatMap((group) => byGroup.get(group) ?? []);
    return [...named, ...grouped].filter((binding) => concerns(binding, asker));
  };
}

function describe(asker: Asker, roles: ReadonlySet<string>): Value {
  const { issuer } = asker;
  const known = {
    id: asker.id,
    client_id: asker.clientId,
    subject: asker.subject,
    issuer,
    tenant: asker.tenant,
    workspace: asker.workspace,
    roles: [...roles].sort(),
    groups: asker.groups,
    scopes: asker.scopes,
    acr: asker.acr,
    amr: asker.amr,
    claims: asker.claims,
  };
  const members = Object.entries(known).filter(([, value]) => value !== undefined);
  return new Map(members.map(([name, value]) => [name, fromParsed(value)]));
}
