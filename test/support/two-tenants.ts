/**
 * An admin plane with two tenants and the common ones' things beside them: the same kinds of resources, sessions and
 * records of each, and an operator of one tenant who holds every role. Asserts nothing.
 */
import { createHash } from "node:crypto";
import { operatorRoles } from "../../src/admin/caller.ts";
import type { GrantSummary } from "../../src/servers/user-access.ts";
import { type AdminClient, type AdminPlane, startAdminPlane } from "./admin-plane.ts";
import { auditRow } from "./memory-store.ts";

/** `own` is the operator's tenant; `a` and `a:b` are as alike as tenants can be (AZ-17). */
export const ownTenant = "a";
export const otherTenant = "a:b";

/** Whose things are called how: `own-client`, `other-role`, `common-server` … */
export const owners = { own: ownTenant, other: otherTenant, common: "" } as const;
export type Owner = keyof typeof owners;

export interface TwoTenants {
  readonly plane: AdminPlane;
  /** The bootstrap administrator, of no tenant. */
  readonly everyones: AdminClient;
  /** The operator of `ownTenant`. */
  readonly own: AdminClient;
  /** Ids of first tokens. */
  readonly tokens: Readonly<Record<Owner, string>>;
}

const operatorToken = "operator-of-one-tenant-with-32-characters";

export async function startTwoTenants(): Promise<TwoTenants> {
  const names = Object.keys(owners) as Owner[];
  const plane = await startAdminPlane({
    allowPrivateNetwork: false,
    operators: [
      {
        name: "ann",
        roles: operatorRoles,
        tenant: ownTenant,
        tokenSha256: createHash("sha256").update(operatorToken).digest("hex"),
      },
    ],
    sessions: names.map((owner) => ({
      id: `${owner}-session`,
      clientId: `${owner}-client`,
      principal: `client:${owner}-client`,
      tenant: owners[owner] || undefined,
      binding: "http",
      scope: "all",
      openedAtMs: 1,
      lastUsedAtMs: 2,
    })),
    grants: names.toSorted().map((owner) => grantOf(`${owner}-grant`, owners[owner])),
    rows: names.map((owner, at) => {
      const server = `${owner}-server`;
      const envelope = JSON.stringify({ seq: at + 1, facts: { server } });
      return auditRow(at + 1, { tenant: owners[owner] || null, server, envelope });
    }),
  });
  const everyones = plane.client();
  const tokens: Record<string, string> = {};
  for (const owner of names) tokens[owner] = await register(everyones, owner);
  const own = plane.client(operatorToken);
  return { plane, everyones, own, tokens: tokens as Record<Owner, string> };
}

/** One of everything for the owner; resolves with the client's first token's id. */
async function register(admin: AdminClient, owner: Owner): Promise<string> {
  const tenant = owners[owner];
  await admin.call("PolicyService", "createRole", {
    role: { name: `${owner}-role`, tenant, permissions: [] },
  });
  await admin.call("PolicyService", "createBinding", {
    binding: { name: `${owner}-binding`, tenant, roles: [`${owner}-role`], groups: ["g"] },
  });
  await admin.call("PolicyService", "createRule", { rule: ruleOf(`${owner}-rule`, tenant) });
  await admin.call("ServerService", "registerServer", {
    server: serverOf(`${owner}-server`, tenant),
  });
  await admin.call("ServerService", "createVirtualServer", {
    virtual_server: {
      name: `${owner}-virtual`,
      tenant,
      tools: [{ server: `${owner}-server`, name: "add" }],
    },
  });
  await admin.call("PolicyService", "createDraft", { draft: draftOf(`${owner}-draft`, tenant) });
  await admin.call("RetentionService", "createRule", {
    rule: retentionOf(`${owner}-retention`, tenant),
  });
  const { token_id } = await admin.call("ClientService", "registerClient", {
    client: { id: `${owner}-client`, tenant, roles: [`${owner}-role`] },
  });
  return token_id;
}

export function ruleOf(name: string, tenant = "") {
  return { name, tenant, effect: "RULE_EFFECT_DENY", condition: { server: "nowhere" } } as const;
}

/** A draft of a tenant's operator, about the tenant's policy alone. */
export function draftOf(name: string, tenant = "", ruleTenant = tenant) {
  return { name, tenant, changes: [{ put: { rule: ruleOf("drafted", ruleTenant) } }] };
}

export function serverOf(name: string, tenant = "") {
  const url = `https://${name}.example/mcp`;
  return { name, tenant, remote: { kind: "REMOTE_KIND_STREAMABLE_HTTP", url } } as const;
}

export function grantOf(id: string, tenant = ""): GrantSummary {
  return {
    ...{ id, principal: "user:https://login.example#ada", client: "agent", server: "files" },
    ...{ scopes: ["read"], issuer: "https://auth.example", renewable: true },
    tenant: tenant || undefined,
    grantedAtMs: 1,
    updatedAtMs: 2,
  };
}

export function retentionOf(id: string, tenant = "") {
  return { id, tenant, action: "RETENTION_ACTION_DELETE", retention_days: 30 } as const;
}
