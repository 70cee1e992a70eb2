/**
 * What readers of records get of personal values: opened with the state that says so, and one field with a proof that
 * shows nothing else (K-17).
 */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { type ServiceError, status } from "@grpc/grpc-js";
import { checkOpening } from "../../src/audit/commitment.ts";
import { leafOf, parseEnvelope } from "../../src/audit/envelope.ts";
import type { OpenFieldResponse } from "../../src/gen/types.ts";
import type { AuditRow } from "../../src/storage/store.ts";
import { startAdminPlane } from "../support/admin-plane.ts";
import { recordCalls } from "../support/recorded-calls.ts";

const token = "auditor-with-a-token-of-32-characters";
const operators = [
  {
    name: "ada",
    roles: ["auditor"],
    tenant: undefined,
    tokenSha256: createHash("sha256").update(token).digest("hex"),
  },
] as const;

const rows = recordCalls("log-1", [
  { timeMs: 10, principal: "user:https://idp#ada", client: "ci", roles: '["dev"]', tool: "add" },
  { timeMs: 11, principal: "client:bob", client: "bob", tool: "add" },
  { timeMs: 12, principal: "client:eve", tool: "add" },
]);

const at = (seq: number, field = "principal") => ({ log_id: "log-1", seq, field });

async function refusal(work: Promise<unknown>): Promise<ServiceError> {
  try {
    await work;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error("should have been refused");
}

/** What a stranger does with the answer: nothing but hashes. */
function check({ envelope_json, leaf, opening }: OpenFieldResponse): boolean {
  if (opening === null || opening === undefined || leafOf(envelope_json) !== leaf) return false;
  const { name, value_json, random } = opening;
  const others = opening.others.map((one) => [one.name, one.commitment] as const);
  const commitment = parseEnvelope(envelope_json)?.commitment ?? "";
  return checkOpening(commitment, { name, value: JSON.parse(value_json), random, others });
}

describe("K-17: OpenField", () => {
  test("one value with a proof that anybody can check and that shows nothing of the others", async () => {
    await using plane = await startAdminPlane({ rows, operators });
    const answer = await plane.client(token).call("AuditService", "openField", at(1, "client"));
    expect(answer.opening?.value_json).toBe('"ci"');
    expect(check(answer)).toBe(true);
    expect(JSON.stringify(answer)).not.toMatch(/ada|dev/);
    const { opening } = answer;
    if (!opening) throw new Error("nothing opened");
    expect(check({ ...answer, opening: { ...opening, value_json: '"cj"' } })).toBe(false);
    expect(check({ ...answer, opening: { ...opening, name: "principal" } })).toBe(false);
    const other = await plane.client(token).call("AuditService", "openField", at(2, "client"));
    expect(check({ ...other, opening })).toBe(false);
  });

  test("PV-12 it is recorded, before and after, which value of which record was let go", async () => {
    await using plane = await startAdminPlane({ rows, operators });
    await plane.client(token).call("AuditService", "openField", at(2));
    expect(plane.records.slice(-2)).toMatchObject([
      { event: "admin.export", class: "A", facts: { phase: "intent" } },
      {
        event: "admin.export",
        class: "A",
        facts: { phase: "outcome", openedLog: "log-1", openedSeq: 2, openedField: "principal" },
      },
    ]);
  });

  test("an administrator who is no auditor may not", async () => {
    await using plane = await startAdminPlane({ rows, operators });
    const refused = await refusal(plane.client().call("AuditService", "openField", at(1)));
    expect(refused.code).toBe(status.PERMISSION_DENIED);
    expect(refused.details).toContain("auditor, dpo");
  });

  test("what is not there, or not open, is refused in words", async () => {
    const [one, two, three] = rows as [AuditRow, AuditRow, AuditRow];
    const foreign = two.details?.replace("aaaaaaaaaaaaaaaa", "dddddddddddddddd") ?? "";
    const swapped = [
      { ...one, details: null },
      { ...two, details: foreign },
      { ...three, details: two.details },
    ];
    await using plane = await startAdminPlane({ rows: swapped, operators });
    const refused = async (request: object) =>
      (await refusal(plane.client(token).call("AuditService", "openField", request))).details;
    expect(await refused(at(4))).toBe("There is no such record");
    expect(await refused({ ...at(1), log_id: "log-2" })).toBe("There is no such record");
    expect(await refused(at(0))).toContain("seq counts from 1");
    expect(await refused(at(1))).toContain("were erased");
    expect(await refused(at(2))).toContain("does not have now");
    expect(await refused(at(3))).toContain("not those it committed to");
    await using sound = await startAdminPlane({ rows, operators });
    const unknown = sound.client(token).call("AuditService", "openField", at(2, "shoe"));
    expect((await refusal(unknown)).details).toBe(
      'field: the record has no "shoe"; it has principal, client, peer',
    );
  });
});

test("QueryRecords opens what can be opened, and says of the rest why not", async () => {
  const [one, two, three] = rows as [AuditRow, AuditRow, AuditRow];
  const stored = [one, { ...two, details: null }, { ...three, details: two.details }];
  await using plane = await startAdminPlane({ rows: stored, operators });
  const found = await plane.client(token).call("AuditService", "queryRecords", {
    order: "RECORD_ORDER_OLDEST_FIRST",
  });
  expect(
    found.records.map((record) => [record.seal_state, record.principal, record.details_json]),
  ).toEqual([
    ["SEAL_STATE_OPEN", "user:https://idp#ada", expect.stringContaining('"client":"ci"')],
    ["SEAL_STATE_SHREDDED", "", ""],
    ["SEAL_STATE_BROKEN", "", ""],
  ]);
  expect(found.records[0]?.sealed_json).toBe(one.details ?? "");
});

test("a person's name finds the rows that hold its token, and no name finds a token's", async () => {
  await using plane = await startAdminPlane({ rows, operators });
  const search = async (filter: object) =>
    (await plane.client(token).call("AuditService", "queryRecords", { filter })).records.map(
      (record) => record.seq,
    );
  expect(await search({ principal: "client:bob" })).toEqual([2]);
  expect(await search({ client: "ci" })).toEqual([1]);
  expect(await search({ principal: rows[1]?.principal ?? "" })).toEqual([]);
});
