/**
 * What is allowed and yet hardly meant: one sentence each, logged at the start. Called by `load.ts`; what is refused is
 * in `risks.ts`.
 */
import { isVaultForgotten } from "./risks.ts";
import type { ConfigValues } from "./schema.ts";

export function findOddities(values: ConfigValues): readonly string[] {
  return [...findNameless(values), ...findAlone(values), ...findSeparateVault(values)];
}

function findSeparateVault(values: ConfigValues): readonly string[] {
  if (!isVaultForgotten(values)) return [];
  return [
    "vault.url: the audit records are in PostgreSQL and the keys that open them in this node's data_dir: no other node " +
      "can open these records, and they are sealed for ever if that folder is lost; set vault.url (or vault.node_local)",
  ];
}

/** The rule needs two who may approve, or nobody can change policy once one of them has written a draft. */
function findAlone({ policy, admin }: ConfigValues): readonly string[] {
  if (!policy.two_person) return [];
  const approvers = admin.operators.filter(({ roles }) =>
    roles.some((role) => role === "admin" || role === "approver"),
  );
  if (approvers.length > 0) return [];
  return [
    "policy.two_person: admin.operators names nobody who may approve (admin, approver), so what the bootstrap operator drafts can never be approved",
  ];
}

/** On every address, yet known by no name: agents elsewhere would all be refused by their Host header. */
function findNameless({ agents }: ConfigValues): readonly string[] {
  const isEverywhere = agents.host === "0.0.0.0" || agents.host === "::";
  if (!isEverywhere || agents.public_url !== undefined || agents.allowed_hosts.length > 0)
    return [];
  return [
    `agents.host is ${agents.host} and neither agents.public_url nor agents.allowed_hosts names this gateway: ` +
      "only requests for loopback names will be answered",
  ];
}
