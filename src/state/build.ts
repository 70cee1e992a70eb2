/**
 * Resources to snapshot: reads every body strictly, checks what refers to what, and compiles the policy. Pure, and
 * all or nothing: whatever is wrong is a GatewayError invalid-params and no snapshot. Called at start, before each
 * admin write is stored, and when another process wrote.
 */
import { GatewayError } from "../errors/fault.ts";
import type { CompiledPolicy } from "../policy/compile.ts";
import type { PolicyInput } from "../policy/rule.ts";
import type { ServerSpec } from "../servers/spec.ts";
import type { StoredResource } from "../storage/store.ts";
import { refuseField, type Shape } from "./body-shape.ts";
import * as shapes from "./resource-shapes.ts";
import {
  type BindingResource,
  type ClientResource,
  type ResourceKind,
  type RetentionRuleResource,
  type RoleResource,
  type RuleResource,
  resourceKinds,
  type TokenResource,
  type VirtualServerResource,
} from "./resources.ts";
import type { Scope, Snapshot } from "./snapshot.ts";

/** `policy/compile`'s function; throws GatewayError invalid-params for a bad pattern. */
export type CompilePolicy = (input: PolicyInput) => CompiledPolicy;

interface Parsed {
  readonly clients: ReadonlyMap<string, ClientResource>;
  readonly tokens: ReadonlyMap<string, TokenResource>;
  readonly servers: ReadonlyMap<string, ServerSpec>;
  readonly virtualServers: ReadonlyMap<string, VirtualServerResource>;
  readonly roles: ReadonlyMap<string, RoleResource>;
  readonly bindings: ReadonlyMap<string, BindingResource>;
  readonly rules: ReadonlyMap<string, RuleResource>;
  readonly retentionRules: ReadonlyMap<string, RetentionRuleResource>;
}

export function buildSnapshot(
  stateRevision: number,
  resources: readonly StoredResource[],
  compile: CompilePolicy,
): Snapshot {
  const parsed = parseResources(resources);
  checkReferences(parsed);
  const policyInput: PolicyInput = {
    clients: [...parsed.clients.values()],
    roles: [...parsed.roles.values()],
    bindings: [...parsed.bindings.values()],
    rules: [...parsed.rules.values()],
  };
  return Object.freeze({
    stateRevision,
    clients: parsed.clients,
    tokens: byDigest(parsed.tokens),
    servers: enabledOnly(parsed.servers),
    scopes: buildScopes(parsed),
    policy: compile(policyInput),
    policyInput,
    retentionRules: [...parsed.retentionRules.values()],
  });
}

function parseResources(resources: readonly StoredResource[]): Parsed {
  const byKind = groupByKind(resources);
  const read = <T extends object>(kind: ResourceKind, key: keyof T & string, shape: Shape<T>) =>
    readKind(kind, byKind.get(kind) ?? [], key, shape);
  return {
    clients: read("client", "id", shapes.clientShape),
    tokens: read("token", "id", shapes.tokenShape),
    servers: read("server", "name", shapes.serverShape),
    virtualServers: read("virtual-server", "name", shapes.virtualServerShape),
    roles: read("role", "name", shapes.roleShape),
    bindings: read("binding", "name", shapes.bindingShape),
    rules: read("rule", "name", shapes.ruleShape),
    retentionRules: read("retention-rule", "id", shapes.retentionRuleShape),
  };
}

function groupByKind(resources: readonly StoredResource[]): Map<ResourceKind, StoredResource[]> {
  const groups = new Map<ResourceKind, StoredResource[]>();
  for (const resource of resources) {
    const kind = resourceKinds.find((known) => known === resource.kind);
    if (kind === undefined) return refuseField(resource.kind, "unknown kind of resource");
    const group = groups.get(kind);
    if (group === undefined) groups.set(kind, [resource]);
    else group.push(resource);
  }
  return groups;
}

function readKind<T extends object>(
  kind: ResourceKind,
  resources: readonly StoredResource[],
  key: keyof T & string,
  shape: Shape<T>,
): ReadonlyMap<string, T> {
  const read = new Map<string, T>();
  for (const { name, body } of resources) {
    const path = `${kind} ${JSON.stringify(name.slice(0, 64))}`;
    const value = inResource(path, () => shape(body, ""));
    if (value[key] !== name) refuseField(`${path}: ${key}`, "must be the name it is stored under");
    if (read.has(name)) refuseField(path, "there are two of this name");
    read.set(name, value);
  }
  return read;
}

/** Puts the resource's name before the field's in what the operator reads. */
function inResource<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return refuseField(path, error.fault.message);
  }
}

function checkReferences(parsed: Parsed): void {
  for (const client of parsed.clients.values()) {
    needAll(`client "${client.id}": roles`, client.roles, parsed.roles, "role");
  }
  checkCertificates(parsed.clients.values());
  for (const token of parsed.tokens.values()) {
    needAll(`token "${token.id}": clientId`, [token.clientId], parsed.clients, "client");
  }
  for (const binding of parsed.bindings.values()) {
    needAll(`binding "${binding.name}": roles`, binding.roles, parsed.roles, "role");
  }
  for (const virtual of parsed.virtualServers.values()) checkVirtualServer(virtual, parsed);
}

/** A certificate that names two clients would name nobody. */
function checkCertificates(clients: Iterable<ClientResource>): void {
  const owners = new Map<string, string>();
  for (const { id, certificates = [] } of clients) {
    for (const name of certificates) {
      const owner = owners.get(name);
      if (owner !== undefined) {
        refuseField(`client "${id}": certificates`, `${name} belongs to client "${owner}"`);
      }
      owners.set(name, id);
    }
  }
}

function checkVirtualServer(virtual: VirtualServerResource, parsed: Parsed): void {
  const path = `virtual-server "${virtual.name}"`;
  if (parsed.servers.has(virtual.name)) refuseField(path, "a server has this name already");
  const members = [...virtual.tools, ...virtual.prompts, ...virtual.resources];
  const names = members.map((member) => member.server);
  needAll(path, names, parsed.servers, "server");
  needDistinct(`${path}: tools`, virtual.tools);
  needDistinct(`${path}: prompts`, virtual.prompts);
}

function needAll(
  path: string,
  names: readonly string[],
  known: ReadonlyMap<string, unknown>,
  noun: string,
): void {
  const missing = names.find((name) => !known.has(name));
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

function byDigest(tokens: ReadonlyMap<string, TokenResource>): ReadonlyMap<string, TokenResource> {
  const found = new Map<string, TokenResource>();
  for (const token of tokens.values()) {
    if (found.has(token.digest)) refuseField(`token "${token.id}"`, "digest is not unique");
    found.set(token.digest, token);
  }
  return found;
}

function enabledOnly(servers: ReadonlyMap<string, ServerSpec>): ReadonlyMap<string, ServerSpec> {
  return new Map([...servers].filter(([, server]) => server.enabled));
}

/** Disabled servers and virtual servers have no scope: they look unknown. */
function buildScopes(parsed: Parsed): ReadonlyMap<string, Scope> {
  const scopes = new Map<string, Scope>([["all", { kind: "all", name: "all" }]]);
  for (const server of parsed.servers.values()) {
    if (server.enabled) scopes.set(server.name, { kind: "server", name: server.name, server });
  }
  for (const virtual of parsed.virtualServers.values()) {
    if (virtual.enabled) scopes.set(virtual.name, { kind: "virtual", name: virtual.name, virtual });
  }
  return scopes;
}
