/**
 * What an operator is shown of records. Who called and what was said is for auditors and data protection officers; an
 * admin who is neither sees the metadata alone: when, which server, which tool, how it ended. Every door goes through
 * here: searching, following, exporting, and what is replayed.
 */
import type { Opener } from "../audit/opener.ts";
import { GatewayError } from "../errors/fault.ts";
import type { AuditRecord } from "../gen/types.ts";
import type { AuditFilter, AuditRow } from "../storage/store.ts";
import type { Operator, OperatorRole } from "./caller.ts";
import { fromAuditRow } from "./convert/records.ts";

const rolesSeeing: readonly OperatorRole[] = ["auditor", "dpo"];
const identities = ["principal", "client", "session"] as const;

export function seesIdentities({ roles }: Pick<Operator, "roles">): boolean {
  return roles.some((role) => rolesSeeing.includes(role));
}

/** A filter by a person answers who it was as well as a column does. */
export function needIdentities(filter: AuditFilter, operator: Pick<Operator, "roles">): void {
  if (seesIdentities(operator)) return;
  const asked = identities.filter((member) => filter[member] !== undefined);
  if (asked.length === 0) return;
  throw new GatewayError(
    "policy-denied",
    `records can be asked for by ${asked.join(", ")} with one of these roles: ${rolesSeeing.join(", ")}`,
    { reason: "audit.identities" },
  );
}

/** The rows as this operator may see them. Nothing is opened for who may not see it. */
export async function viewRows(
  rows: readonly AuditRow[],
  operator: Pick<Operator, "roles">,
  opener: Opener,
): Promise<readonly AuditRecord[]> {
  if (!seesIdentities(operator)) return rows.map(hide);
  return (await opener.open(rows)).map(fromAuditRow);
}

function hide(row: AuditRow): AuditRecord {
  const without = { ...row, details: null, principal: null, client: null, session: null };
  const shown = fromAuditRow({ row: without, state: stateOf(row), values: {}, random: undefined });
  return { ...shown, identities_hidden: true };
}

function stateOf({ envelope, details }: AuditRow): "pruned" | "shredded" | "sealed" {
  if (envelope === null) return "pruned";
  return details === null || details === "" ? "shredded" : "sealed";
}
