/**
 * Resources to snapshot: reads every body strictly, checks what refers to what, and compiles the policy. Pure, and
 * all or nothing: whatever is wrong is a GatewayError invalid-params and no snapshot. Called at start, before each
 * admin write is stored, and when another process wrote.
 */
import { GatewayError } from "../errors/fault.ts";
import type { CompiledPolicy } from "../policy/compile.ts";
import type { PolicyInput, PolicyServer } from "../policy/rule.ts";
import type { ServerSpec } from "../servers/spec.ts";
import type { StoredResource } from "../storage/store.ts";
import { refuseField, type Shape } from "./body-shape.ts";
import { policyDraftShape, policyRevisionShape } from "./draft-shapes.ts";
import { checkReferences } from "./references.ts";
import * as shapes from "./resource-shapes.ts";
import {
  type BindingResource,
  type ClientResource,
  type PolicyDraftResource,
  type PolicyRevisionResource,
  type ResourceKind,
  type RetentionRuleResource,
  type RevocationResource,
  type RoleResource,
  type RuleResource,
  resourceKinds,
  type TokenResource,
  tenantKinds,
  type VirtualServerResource,
} from "./resources.ts";
import { revocationShape } from "./revocation-shape.ts";
import { indexRevocations } from "./revoked.ts";
import type { Scope, Snapshot } from "./snapshot.ts";

/** `policy/compile`'s function; throws GatewayError invalid-params for a bad pattern. */
export type CompilePolicy = (input: PolicyInput) => CompiledPolicy;

interface Parsed {
  readonly clients: ReadonlyMap<string, ClientResource>;
  readonly tokens: ReadonlyMap<string, TokenResource>;
  readonly servers: ReadonlyMap<string, ServerSpec>;
  readonly virtualServers: ReadonlyMap<string, VirtualServerResource>;
  readonly roles: readonly RoleResource[];
  readonly bindings: readonly BindingResource[];
  readonly rules: readonly RuleResource[];
  readonly retentionRules: readonly RetentionRuleResource[];
  readonly revocations: ReadonlyMap<string, RevocationResource>;
  readonly policyDrafts: readonly PolicyDraftResource[];
  readonly policyRevisions: readonly PolicyRevisionResource[];
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
    roles: parsed.roles,
    bindings: parsed.bindings,
    rules: parsed.rules,
    servers: [...parsed.servers.values()].map(toPolicyServer),
  };
  return Object.freeze({
    stateRevision,
    clients: parsed.clients,
    tokens: byDigest(parsed.tokens),
    servers: enabledOnly(parsed.servers),
    scopes: buildScopes(parsed),
    policy: compile(policyInput),
    policyInput,
    retentionRules: parsed.retentionRules,
    revocations: indexRevocations(parsed.revocations.values()),
    policyDrafts: parsed.policyDrafts,
  });
}

function parseResources(resources: readonly StoredResource[]): Parsed {
  const byKind = groupByKind(resources);
  const read = <T extends object>(kind: ResourceKind, key: keyof T & string, shape: Shape<T>) =>
    readKind(kind, byKind.get(kind) ?? [], key, shape);
  const readNamed = <T extends object>(
    kind: ResourceKind,
    key: keyof T & string,
    shape: Shape<T>,
  ): ReadonlyMap<string, T> =>
    new Map(read(kind, key, shape).map((value) => [String(value[key]), value]));
  return {
    clients: readNamed("client", "id", shapes.clientShape),
    tokens: readNamed("token", "id", shapes.tokenShape),
    servers: readNamed("server", "name", shapes.serverShape),
    virtualServers: readNamed("virtual-server", "name", shapes.virtualServerShape),
    roles: read("role", "name", shapes.roleShape),
    bindings: read("binding", "name", shapes.bindingShape),
    rules: read("rule", "name", shapes.ruleShape),
    retentionRules: read("retention-rule", "id", shapes.retentionRuleShape),
    revocations: readNamed("revocation", "id", revocationShape),
    policyDrafts: read("policy-draft", "name", policyDraftShape),
    policyRevisions: read("policy-revision", "name", policyRevisionShape),
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
): readonly T[] {
  const read = new Map<string, T>();
  for (const { tenant, name, body } of resources) {
    const path = `${kind} ${JSON.stringify(name.slice(0, 64))}`;
    const value = inResource(path, () => shape(body, ""));
    if (value[key] !== name) refuseField(`${path}: ${key}`, "must be the name it is stored under");
    if (tenant !== keyTenant(kind, value)) {
      refuseField(`${path}: tenant`, "must be the tenant it is stored under");
    }
    // A tuple, not a joined text: tenants hold any characters (AZ-17).
    const place = JSON.stringify([tenant ?? null, name]);
    if (read.has(place)) refuseField(path, "there are two of this name");
    read.set(place, value);
  }
  return [...read.values()];
}

/** The tenant in a resource's key: only where names are unique within a tenant, and not in all of them. */
function keyTenant(kind: ResourceKind, body: object): string | undefined {
  return tenantKinds.has(kind) && "tenant" in body ? (body.tenant as string) : undefined;
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

/** What operators said of a tool beyond how it is called; of most tools they said nothing. */
function toPolicyServer({ name, tenant, toolSettings }: ServerSpec): PolicyServer {
  const spoken = toolSettings.filter(
    ({ riskTier, requiredRoles = [] }) => riskTier !== undefined || requiredRoles.length > 0,
  );
  const tools = spoken.map(({ tool, riskTier = "low", requiredRoles = [] }) => ({
    tool,
    riskTier,
    requiredRoles,
  }));
  return { name, tenant, tools };
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
