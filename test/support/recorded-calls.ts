/**
 * Records of calls as the gateway writes them, made at will: sealed envelopes in one chain, as rows for a store.
 * Asserts nothing.
 */
import { genesisLeaf, leafOf } from "../../src/audit/envelope.ts";
import type { RecordDraft } from "../../src/audit/record.ts";
import { toAuditRow } from "../../src/audit/row.ts";
import type { AuditRow } from "../../src/storage/store.ts";
import { sealSample } from "./sealing.ts";

export interface CallToRecord {
  readonly timeMs: number;
  readonly method?: string;
  readonly principal: string;
  readonly client?: string;
  readonly server?: string;
  readonly tool?: string;
  readonly decision?: string;
  /** JSON texts, as records keep lists. */
  readonly roles?: string;
  readonly groups?: string;
  readonly resource?: string;
}

/** One outcome record for each call. */
export function recordCalls(logId: string, calls: readonly CallToRecord[]): readonly AuditRow[] {
  let prev = genesisLeaf;
  return calls.map((call, index) => {
    const { timeMs, principal, client, roles, groups, resource } = call;
    const { method = "tools/call", server, tool, decision } = call;
    const status = decision === "default" ? "denied" : "success";
    const correlationId = `${logId}-${index + 1}`;
    const draft: RecordDraft = {
      event: "call.outcome",
      class: "A",
      timeMs,
      facts: { method, server, tool, decision, status, correlationId, durationUs: 1_500 },
      details: { principal, client, roles, groups, resource, peer: "127.0.0.1" },
    };
    const sealed = sealSample({ log: logId, seq: index + 1, prev }, draft);
    const leaf = leafOf(sealed.envelope);
    prev = leaf;
    const row = toAuditRow({ ...sealed, leaf });
    if (row === undefined) throw new Error("not a record");
    return row;
  });
}
