/**
 * Which RPCs an operator of a tenant may use at all, besides what their roles say. `tenant`: its service answers out
 * of the tenant's own resources and records. `gateway`: it is about all tenants at once, and needs an operator without
 * one. One row for every RPC; without a row it is the gateway's.
 */
import type { AdminServices } from "./caller.ts";
import { functionName } from "./permissions.ts";

export type Reach = "tenant" | "gateway";

type ReachTable = {
  readonly [S in keyof AdminServices]: { readonly [M in keyof AdminServices[S]]: Reach };
};

export const rpcReach: ReachTable = {
  ClientService: {
    registerClient: "tenant",
    getClient: "tenant",
    listClients: "tenant",
    updateClient: "tenant",
    deleteClient: "tenant",
    rotateToken: "tenant",
    issueSigningSecret: "tenant",
    revokeToken: "tenant",
    listTokens: "tenant",
    listSessions: "tenant",
    endSession: "tenant",
  },
  ServerService: {
    registerServer: "tenant",
    getServer: "tenant",
    listServers: "tenant",
    updateServer: "tenant",
    deleteServer: "tenant",
    listTools: "tenant",
    refreshServer: "tenant",
    checkServer: "tenant",
    createVirtualServer: "tenant",
    getVirtualServer: "tenant",
    listVirtualServers: "tenant",
    updateVirtualServer: "tenant",
    deleteVirtualServer: "tenant",
  },
  GrantService: {
    listGrants: "tenant",
    revokeGrant: "tenant",
  },
  PolicyService: {
    createRole: "tenant",
    getRole: "tenant",
    listRoles: "tenant",
    updateRole: "tenant",
    deleteRole: "tenant",
    createBinding: "tenant",
    getBinding: "tenant",
    listBindings: "tenant",
    updateBinding: "tenant",
    deleteBinding: "tenant",
    createRule: "tenant",
    getRule: "tenant",
    listRules: "tenant",
    updateRule: "tenant",
    deleteRule: "tenant",
    explain: "tenant",
    createDraft: "tenant",
    getDraft: "tenant",
    listDrafts: "tenant",
    updateDraft: "tenant",
    deleteDraft: "tenant",
    proposeDraft: "tenant",
    approveDraft: "tenant",
    rejectDraft: "tenant",
    activateDraft: "tenant",
    retireDraft: "tenant",
    // One revision may hold what several tenants' operators wrote.
    rollbackPolicy: "gateway",
    listPolicyRevisions: "gateway",
    replay: "tenant",
  },
  RetentionService: {
    createRule: "tenant",
    getRule: "tenant",
    listRules: "tenant",
    updateRule: "tenant",
    deleteRule: "tenant",
    // A run applies every tenant's rules, and its numbers count every tenant's records.
    processRetention: "gateway",
    getStatistics: "gateway",
  },
  AuditService: {
    queryRecords: "tenant",
    summarizeRecords: "tenant",
    exportRecords: "tenant",
    tailRecords: "tenant",
    openField: "tenant",
    // A chain is of all tenants' records: it holds as a whole or not at all.
    verifyLog: "gateway",
    getCheckpoint: "gateway",
    getProof: "tenant",
  },
  LimitService: {
    // Sources are nobody's, and callers of every tenant are in one box.
    listPenalties: "gateway",
    clearPenalty: "gateway",
  },
  // An issuer's tokens are nobody's in particular: what revokes one of another tenant's users is the gateway's.
  RevocationService: {
    revokeTokens: "gateway",
    listRevocations: "gateway",
    deleteRevocation: "gateway",
  },
  KeyService: {
    listKeys: "tenant",
    // What wraps everybody's keys, and what everybody is searched by.
    rotateKeys: "gateway",
    destroyKeys: "tenant",
  },
  CacheService: {
    getStatistics: "gateway",
    purge: "tenant",
  },
  SystemService: {
    getConfig: "gateway",
    getStatus: "gateway",
    drain: "gateway",
  },
};

/** The reach of an RPC named as in the descriptor (`ClientService`, `GetClient`). */
export function reachOf(service: string, method: string): Reach {
  const rows: Readonly<Record<string, Readonly<Record<string, Reach>>>> = rpcReach;
  const row = Object.hasOwn(rows, service) ? rows[service] : undefined;
  const name = functionName(method);
  return (row && Object.hasOwn(row, name) && row[name]) || "gateway";
}
