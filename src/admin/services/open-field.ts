/**
 * AuditService.OpenField: one value of one record with its opening proof (K-17). Whoever gets it can check it with the
 * envelope alone, and learns nothing of the record's other values.
 */
import { openingProof } from "../../audit/commitment.ts";
import type { Opener } from "../../audit/opener.ts";
import { GatewayError } from "../../errors/fault.ts";
import type { OpenFieldRequest, OpenFieldResponse } from "../../gen/types.ts";
import type { AuditRow, AuditStore } from "../../storage/store.ts";
import type { Caller } from "../caller.ts";
import { otherTenant } from "../tenants.ts";

export interface OpenFieldDeps {
  readonly store: Pick<AuditStore, "scan">;
  readonly opener: Opener;
}

const whyClosed = {
  sealed: "are sealed under keys that this gateway does not have now",
  shredded: "were erased",
  pruned: "were deleted by retention",
  broken: "are not those it committed to; verify the log",
} as const;

export async function openField(
  { store, opener }: OpenFieldDeps,
  request: OpenFieldRequest,
  caller: Caller,
): Promise<OpenFieldResponse> {
  const { log_id, seq, field } = request;
  if (log_id === "" || seq < 1 || field === "") {
    const message = "log_id, seq and field: each must be set; seq counts from 1";
    throw new GatewayError("invalid-params", message);
  }
  const row = await needRow(store, request, caller);
  const [opened] = await opener.open([row], "randoms");
  if (opened === undefined) throw notFound("not-found");
  const { state, random, values } = opened;
  if (state !== "open") {
    throw new GatewayError("state-conflict", `The values of this record ${whyClosed[state]}.`);
  }
  const opening = random && openingProof(random, values, field);
  random?.fill(0);
  if (opening === undefined) {
    const names = Object.keys(values).join(", ") || "none";
    throw new GatewayError(
      "invalid-params",
      `field: the record has no "${field}"; it has ${names}`,
    );
  }
  caller.note({ openedLog: log_id, openedSeq: seq, openedField: field });
  return {
    envelope_json: row.envelope ?? "",
    leaf: row.leaf,
    opening: {
      name: opening.name,
      value_json: JSON.stringify(opening.value),
      random: opening.random,
      others: opening.others.map(([name, commitment]) => ({ name, commitment })),
    },
  };
}

/** A record that is not there and one of another tenant are told apart in the log alone (AZ-15). */
async function needRow(
  store: OpenFieldDeps["store"],
  { log_id: logId, seq }: OpenFieldRequest,
  { tenant }: Caller,
): Promise<AuditRow> {
  const after = { logId, seq: seq - 1 };
  const query = { filter: {}, after, limit: 1, order: "ascending", includePruned: true } as const;
  const [row] = (await store.scan(query)).rows;
  if (row === undefined || row.logId !== logId || row.seq !== seq) throw notFound("not-found");
  if (tenant !== undefined && row.tenant !== tenant) throw notFound(otherTenant);
  return row;
}

function notFound(reason: string): GatewayError {
  return new GatewayError("resource-not-found", "There is no such record", { reason });
}
