/** The columns that a record is searched by, read out of its own bytes. */
import { expect, test } from "bun:test";
import type { RecordDraft } from "../../../src/audit/record.ts";
import { toAuditRow } from "../../../src/audit/row.ts";
import { createSampleTokens, sealSample } from "../../support/sealing.ts";

function rowOf(facts: RecordDraft["facts"], details: RecordDraft["details"] = {}) {
  const draft = { event: "call.outcome", class: "A", timeMs: 5, facts, details } as const;
  const sealed = sealSample({ log: "log", seq: 1, prev: "0".repeat(64) }, draft);
  return toAuditRow({ ...sealed, leaf: "leaf" });
}

test("P17: the tenant's column is the tenant in the hashed part, not one that the details name", () => {
  const row = rowOf({ tenant: "a:b", tool: "t" }, { tenant: "other", client: "ci" });
  expect(row).toMatchObject({ tenant: "a:b", tool: "t", event: "call.outcome" });
  expect(rowOf({}, { tenant: "other" })).toMatchObject({ tenant: null, tool: null });
});

test("an envelope that cannot be read has no row", () => {
  expect(toAuditRow({ envelope: "{", details: "{}", leaf: "" })).toBeUndefined();
});

test("PV-11 who it was stands in the columns as tokens, which the same value finds again", async () => {
  const row = rowOf({}, { principal: "user:ada", client: "ci", session: "s-1" });
  const { toStored } = createSampleTokens();
  for (const [member, value] of [
    ["principal", "user:ada"],
    ["client", "ci"],
    ["session", "s-1"],
  ] as const) {
    expect(row?.[member]).toMatch(/^[0-9a-f]{32}$/);
    expect(await toStored({ [member]: value, tool: "t" })).toEqual({
      [member]: [row?.[member] ?? ""],
      tool: "t",
    });
  }
  expect(rowOf({})).toMatchObject({ principal: null, client: null, session: null });
});
