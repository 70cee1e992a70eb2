/**
 * Which operator roles may use which RPC, and how its use is recorded. One row for every RPC: a test reads the
 * descriptor and fails where one is missing, and `handle.ts` refuses an RPC that has none.
 */
import type { AdminServices, Operator, OperatorRole } from "./caller.ts";

/**
 * read: not recorded. write: `admin.change`, synced before and after. audit-read: `admin.read` before the answer.
 * export: `admin.export`, before the first byte and after the last.
 */
export type RpcKind = "read" | "write" | "audit-read" | "export";

export interface RpcPermission {
  readonly permission: PermissionName;
  readonly kind: RpcKind;
}

const everyone: readonly OperatorRole[] = [
  "admin",
  "operator",
  "auditor",
  "approver",
  "dpo",
  "viewer",
];

const holders = {
  "clients.read": everyone,
  "clients.write": ["admin", "operator"],
  "sessions.read": ["admin", "operator", "auditor"],
  "sessions.end": ["admin", "operator"],
  "tokens.read": ["admin", "operator", "auditor"],
  "tokens.revoke": ["admin", "operator"],
  "grants.read": ["admin", "operator", "auditor", "dpo"],
  "grants.revoke": ["admin", "operator", "dpo"],
  "servers.read": everyone,
  "servers.write": ["admin", "operator"],
  "servers.probe": ["admin", "operator"],
  "policy.read": everyone,
  "policy.write": ["admin", "operator"],
  "policy.approve": ["admin", "approver"],
  // Its examples say who called what, as the records do.
  "policy.replay": ["admin", "auditor", "dpo"],
  "retention.read": ["admin", "operator", "auditor", "dpo", "viewer"],
  // Deleting records is the data protection officer's business, not the operator's whose acts they show.
  "retention.write": ["admin", "dpo"],
  "audit.read": ["admin", "auditor", "dpo"],
  "audit.export": ["admin", "auditor"],
  "audit.open": ["auditor", "dpo"],
  "audit.verify": ["admin", "operator", "auditor", "dpo"],
  "keys.read": ["admin", "operator", "auditor", "dpo"],
  "keys.rotate": ["admin"],
  // As with retention: whose acts the records show does not erase them.
  "keys.destroy": ["admin", "dpo"],
  "limits.read": ["admin", "operator", "auditor"],
  "limits.clear": ["admin", "operator"],
  "cache.read": everyone,
  "cache.purge": ["admin", "operator"],
  "system.config": ["admin", "operator", "auditor"],
  "system.status": everyone,
  "system.drain": ["admin", "operator"],
} as const satisfies Record<string, readonly OperatorRole[]>;

export type PermissionName = keyof typeof holders;

const read = (permission: PermissionName): RpcPermission => ({ permission, kind: "read" });
const write = (permission: PermissionName): RpcPermission => ({ permission, kind: "write" });

type RpcTable = {
  readonly [S in keyof AdminServices]: {
    readonly [M in keyof AdminServices[S]]: RpcPermission;
  };
};

export const rpcPermissions: RpcTable = {
  ClientService: {
    registerClient: write("clients.write"),
    getClient: read("clients.read"),
    listClients: read("clients.read"),
    updateClient: write("clients.write"),
    deleteClient: write("clients.write"),
    rotateToken: write("clients.write"),
    issueSigningSecret: write("clients.write"),
    revokeToken: write("clients.write"),
    listTokens: read("clients.read"),
    listSessions: read("sessions.read"),
    endSession: write("sessions.end"),
  },
  RevocationService: {
    revokeTokens: write("tokens.revoke"),
    listRevocations: read("tokens.read"),
    deleteRevocation: write("tokens.revoke"),
  },
  GrantService: {
    listGrants: read("grants.read"),
    revokeGrant: write("grants.revoke"),
  },
  ServerService: {
    registerServer: write("servers.write"),
    getServer: read("servers.read"),
    listServers: read("servers.read"),
    updateServer: write("servers.write"),
    deleteServer: write("servers.write"),
    listTools: read("servers.read"),
    refreshServer: read("servers.probe"),
    checkServer: read("servers.probe"),
    createVirtualServer: write("servers.write"),
    getVirtualServer: read("servers.read"),
    listVirtualServers: read("servers.read"),
    updateVirtualServer: write("servers.write"),
    deleteVirtualServer: write("servers.write"),
  },
  PolicyService: {
    createRole: write("policy.write"),
    getRole: read("policy.read"),
    listRoles: read("policy.read"),
    updateRole: write("policy.write"),
    deleteRole: write("policy.write"),
    createBinding: write("policy.write"),
    getBinding: read("policy.read"),
    listBindings: read("policy.read"),
    updateBinding: write("policy.write"),
    deleteBinding: write("policy.write"),
    createRule: write("policy.write"),
    getRule: read("policy.read"),
    listRules: read("policy.read"),
    updateRule: write("policy.write"),
    deleteRule: write("policy.write"),
    explain: read("policy.read"),
    createDraft: write("policy.write"),
    getDraft: read("policy.read"),
    listDrafts: read("policy.read"),
    updateDraft: write("policy.write"),
    deleteDraft: write("policy.write"),
    proposeDraft: write("policy.write"),
    approveDraft: write("policy.approve"),
    rejectDraft: write("policy.approve"),
    activateDraft: write("policy.write"),
    retireDraft: write("policy.write"),
    rollbackPolicy: write("policy.write"),
    listPolicyRevisions: read("policy.read"),
    replay: { permission: "policy.replay", kind: "audit-read" },
  },
  RetentionService: {
    createRule: write("retention.write"),
    getRule: read("retention.read"),
    listRules: read("retention.read"),
    updateRule: write("retention.write"),
    deleteRule: write("retention.write"),
    processRetention: write("retention.write"),
    getStatistics: read("retention.read"),
  },
  AuditService: {
    queryRecords: { permission: "audit.read", kind: "audit-read" },
    summarizeRecords: { permission: "audit.read", kind: "audit-read" },
    exportRecords: { permission: "audit.export", kind: "export" },
    tailRecords: { permission: "audit.read", kind: "audit-read" },
    // To show somebody's value with a proof is to let it go.
    openField: { permission: "audit.open", kind: "export" },
    verifyLog: { permission: "audit.verify", kind: "audit-read" },
    // Asked for again and again by who watches the log; it tells of no record.
    getCheckpoint: read("audit.verify"),
    getProof: { permission: "audit.verify", kind: "audit-read" },
  },
  LimitService: {
    listPenalties: read("limits.read"),
    clearPenalty: write("limits.clear"),
  },
  KeyService: {
    listKeys: read("keys.read"),
    rotateKeys: write("keys.rotate"),
    destroyKeys: write("keys.destroy"),
  },
  CacheService: {
    getStatistics: read("cache.read"),
    purge: write("cache.purge"),
  },
  SystemService: {
    getConfig: read("system.config"),
    getStatus: read("system.status"),
    drain: write("system.drain"),
  },
};

/** The row of an RPC named as in the descriptor (`ClientService`, `GetClient`). */
export function findPermission(service: string, method: string): RpcPermission | undefined {
  const rows: Readonly<Record<string, Readonly<Record<string, RpcPermission>>>> = rpcPermissions;
  return own(own(rows, service), functionName(method));
}

export function mayUse(operator: Operator, permission: PermissionName): boolean {
  const allowed: readonly OperatorRole[] = holders[permission];
  return operator.roles.some((role) => allowed.includes(role));
}

export function rolesHolding(permission: PermissionName): readonly OperatorRole[] {
  return holders[permission];
}

/** `GetClient` in the descriptor is `getClient` in a service. */
export function functionName(method: string): string {
  return method.charAt(0).toLowerCase() + method.slice(1);
}

function own<T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}
