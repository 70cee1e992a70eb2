/** Reading recorded calls back: what is there, and that what is not there stays unknown. */
import { expect, test } from "bun:test";
import {
  type KnownClient,
  readRecordedCall,
  splitUser,
} from "../../../src/policy/recorded-call.ts";
import { auditRow } from "../../support/memory-store.ts";

const clients = new Map<string, KnownClient>([
  ["ci", { id: "ci", tenant: "a", roles: ["builder"] }],
]);
const user = { principal: "user:https://idp#a#b", client: null };
const lists = { roles: '["r"]', groups: "[]" };

test("P16: a call is asked again as it was: target, time it was made, peer", () => {
  const row = auditRow(1, { timeMs: 5_000, tool: "add", server: "calc", decision: "client" });
  expect(readRecordedCall(row, { durationUs: 2_000_000 }, { peer: "10.0.0.1" })).toMatchObject({
    question: { kind: "tool", action: "invoke_tool", server: "calc", target: "add" },
    facts: { timeMs: 3_000, peer: "10.0.0.1" },
    decidedBy: "client",
  });
  const read = auditRow(1, { method: "resources/read", tool: null });
  expect(readRecordedCall(read, {}, { resource: "file:///a" })).toMatchObject({
    question: { kind: "resource", target: "file:///a" },
  });
  expect(readRecordedCall(read, {}, {})).toEqual({ unknown: "target not recorded" });
  expect(readRecordedCall(auditRow(1, { server: null }), {}, {})).toHaveProperty("unknown");
  expect(readRecordedCall(auditRow(1, { method: "tools/list" }), {}, {})).toBeUndefined();
});

test.each<[string, object, object, object]>([
  ["a registered client", {}, {}, { id: "client:ci", tenant: "a", roles: ["builder"] }],
  [
    "a client that is gone",
    { principal: "client:x" },
    {},
    { unknown: "client no longer registered" },
  ],
  ["a user", user, lists, { subject: "a#b", issuer: "https://idp", roles: ["r"], groups: [] }],
  [
    "a user without roles recorded",
    user,
    { groups: "[]" },
    { unknown: "roles or groups not recorded" },
  ],
  [
    "a user whose roles are no list",
    user,
    { ...lists, roles: '"r"' },
    { unknown: "roles or groups not recorded" },
  ],
  [
    "a user with more groups than a record keeps",
    user,
    { ...lists, askerCut: true },
    { unknown: "roles or groups not recorded" },
  ],
  ["anonymous", { principal: "anonymous" }, {}, { roles: [] }],
  ["nobody", { principal: null }, {}, { unknown: "principal not recorded" }],
  ["somebody else", { principal: "operator:ann" }, {}, { unknown: "principal not understood" }],
])("P16: %s", (_name, columns, details, expected) => {
  const call = readRecordedCall(auditRow(1, columns), {}, { ...details });
  if (call === undefined || "unknown" in call) throw new Error("should be a call");
  expect(call.asker(clients)).toMatchObject(expected);
});

test("a user's issuer has no fragment, so the first # parts", () => {
  expect(splitUser("https://idp#ann#1")).toEqual({ issuer: "https://idp", subject: "ann#1" });
  expect(splitUser("ann")).toBeUndefined();
});
