/** The columns that a record is searched by, read out of its own bytes. */
import { expect, test } from "bun:test";
import { renderDraft, sealRecord } from "../../../src/audit/envelope.ts";
import type { RecordDraft } from "../../../src/audit/record.ts";
import { toAuditRow } from "../../../src/audit/row.ts";

function rowOf(facts: RecordDraft["facts"], details: RecordDraft["details"] = {}) {
  const draft = { event: "call.outcome", class: "A", timeMs: 5, facts, details } as const;
  const sealed = sealRecord("log", 1, "0".repeat(64), renderDraft(draft, 65_536), Buffer.alloc(32));
  return toAuditRow({ ...sealed, leaf: "leaf" });
}

test("P17: the tenant's column is the tenant in the hashed part, not one that the details name", () => {
  const row = rowOf({ tenant: "a:b", tool: "t" }, { tenant: "other", client: "ci" });
  expect(row).toMatchObject({ tenant: "a:b", tool: "t", client: "ci", event: "call.outcome" });
  expect(rowOf({}, { tenant: "other" })).toMatchObject({ tenant: null, tool: null });
});

test("an envelope that cannot be read has no row", () => {
  expect(toAuditRow({ envelope: "{", details: "{}", leaf: "" })).toBeUndefined();
});
