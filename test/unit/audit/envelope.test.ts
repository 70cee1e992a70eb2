/** Envelope and details: what is hashed, what is only committed to, and what happens to records that are too large. */
import { expect, test } from "bun:test";
import {
  opensCommitment,
  parseDetails,
  parseEnvelope,
  renderDraft,
  sealRecord,
  seqOf,
} from "../../../src/audit/envelope.ts";
import type { RecordDraft } from "../../../src/audit/record.ts";

const draft: RecordDraft = {
  event: "call.outcome",
  class: "B",
  timeMs: 12,
  facts: { tool: 'a"b\n{"level":"x"}', intent: 3, missing: undefined },
  details: { principal: "mallory\u001b[31m" },
};

function seal(of: RecordDraft = draft, random = new Uint8Array(32).fill(5)) {
  return sealRecord("log-1", 4, "prev", renderDraft(of, 100_000), random);
}

test("the envelope holds place, time and facts, and nothing of the details", () => {
  const { envelope } = seal();
  expect(parseEnvelope(envelope)).toMatchObject({
    v: 1,
    log: "log-1",
    seq: 4,
    prev: "prev",
    time: 12,
    event: "call.outcome",
    class: "B",
    facts: { tool: 'a"b\n{"level":"x"}', intent: 3 },
  });
  expect(envelope).not.toContain("mallory");
});

test("ST-24 control characters in recorded strings are escaped", () => {
  const { envelope, details } = seal();
  const codes = [...(envelope + details)].map((one) => one.codePointAt(0) ?? 0);
  expect(codes.filter((code) => code < 32)).toEqual([]);
});

test("the commitment opens with its own details and with nothing else", () => {
  const { envelope, details } = seal();
  const commitment = parseEnvelope(envelope)?.commitment ?? "";
  expect(parseDetails(details)).toEqual(draft.details);
  expect(opensCommitment(commitment, details)).toBe(true);
  expect(opensCommitment(commitment, details.replace("mallory", "bob"))).toBe(false);
  expect(opensCommitment(commitment, details.replace("0505", "0506"))).toBe(false);
  expect(opensCommitment(commitment, "{}")).toBe(false);
});

test("equal details are committed to differently each time", () => {
  const [one, other] = [seal(), seal(draft, new Uint8Array(32).fill(6))];
  expect(one.envelope).not.toBe(other.envelope);
});

test("ST-21 a record too large is kept with its texts shortened", () => {
  const large = { ...draft, facts: { tool: "t", reason: "x".repeat(5000) } };
  const { envelope } = sealRecord("l", 1, "", renderDraft(large, 1000), new Uint8Array(32));
  const facts = parseEnvelope(envelope)?.facts;
  expect(facts).toMatchObject({ tool: "t", truncated: true });
  expect(String(facts?.reason)).toHaveLength(513);
});

test("what is not an envelope is not one", () => {
  for (const text of ["", "{}", "null", "[1]", '{"v":2}'])
    expect(parseEnvelope(text)).toBeUndefined();
});

test("the sequence number is found without parsing", () => {
  expect(seqOf(seal().envelope)).toBe(4);
  expect(seqOf("{}")).toBe(0);
});
