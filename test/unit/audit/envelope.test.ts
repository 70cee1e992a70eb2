/** The envelope: what is hashed, that nothing personal is in it, and what happens to records that are too large. */
import { expect, test } from "bun:test";
import {
  parseEnvelope,
  parseEnvelopeHead,
  renderDraft,
  sealRecord,
  seqOf,
} from "../../../src/audit/envelope.ts";
import type { RecordDraft } from "../../../src/audit/record.ts";
import { createSealer, freshBytesPerRecord } from "../../../src/audit/sealer.ts";
import { sealSample } from "../../support/sealing.ts";

const draft: RecordDraft = {
  event: "call.outcome",
  class: "B",
  timeMs: 12,
  facts: { tool: 'a"b\n{"level":"x"}', intent: 3, missing: undefined },
  details: { principal: "mallory\u001b[31m" },
};
const place = { log: "log-1", seq: 4, prev: "prev" };

test("the envelope holds place, time and facts, and nothing of the details", () => {
  const { envelope, details } = sealSample(place, draft);
  expect(parseEnvelope(envelope)).toMatchObject({
    v: 2,
    log: "log-1",
    seq: 4,
    prev: "prev",
    time: 12,
    event: "call.outcome",
    class: "B",
    facts: { tool: 'a"b\n{"level":"x"}', intent: 3 },
  });
  expect(Object.keys(JSON.parse(envelope)).join()).toBe(
    "v,log,seq,prev,time,event,class,facts,commitment",
  );
  expect(envelope + details).not.toContain("mallory");
});

test.each<[string, Partial<RecordDraft>]>([
  ["as they are", {}],
  ["without an intent", { facts: { tool: "echo" } }],
  ["that only talk of an intent", { facts: { tool: '{"intent":7,"a":1},"intent":8,', intent: 9 } }],
  [
    "that only talk of one, and close none",
    { facts: { tool: '"intent":7', other: ',"intent":8}' } },
  ],
  ["with one alone", { facts: { intent: 123_456_789 } }],
  ["of an odd time", { timeMs: -1.5, facts: { intent: 6 } }],
])("the head says of facts %s what the whole envelope says", (_what, some) => {
  const at = { ...place, prev: "ab".repeat(32) };
  const { envelope } = sealSample(at, { ...draft, ...some });
  const whole = parseEnvelope(envelope);
  const { seq, prev, time, event, facts } = whole ?? {};
  const intent = facts?.intent as number | undefined;
  expect(parseEnvelopeHead(envelope)).toMatchObject({ seq, prev, time, event, intent });
  expect(parseEnvelopeHead(envelope.slice(0, 60))).toBeUndefined();
});

test("ST-24 control characters in recorded strings are escaped", () => {
  const { envelope, details } = sealSample(place, draft);
  const codes = [...(envelope + details)].map((one) => one.codePointAt(0) ?? 0);
  expect(codes.filter((code) => code < 32)).toEqual([]);
});

test("equal details are committed to and sealed differently each time", () => {
  const [one, other] = [sealSample(place, draft, 5), sealSample(place, draft, 6)];
  const sealedOf = (details: string) => JSON.parse(details).sealed;
  expect(one.envelope).not.toBe(other.envelope);
  expect(sealedOf(one.details)).not.toBe(sealedOf(other.details));
});

test("a record without details needs no key; one with details is never written without", () => {
  const fresh = new Uint8Array(freshBytesPerRecord);
  const seal = (details: RecordDraft["details"]) =>
    sealRecord(
      createSealer(),
      place,
      { ...renderDraft({ ...draft, details }, 1000), pair: 0 },
      fresh,
    );
  expect(seal({ principal: undefined }).details).toBe('{"v":1}');
  expect(() => seal({ principal: "p" })).toThrow("no sealing key");
});

test("ST-21 a record too large is kept with its texts shortened", () => {
  const large = { ...draft, facts: { tool: "t", reason: "x".repeat(5000) } };
  const { envelope } = sealSample(place, renderDraft(large, 1000));
  const facts = parseEnvelope(envelope)?.facts;
  expect(facts).toMatchObject({ tool: "t", truncated: true });
  expect(String(facts?.reason)).toHaveLength(513);
});

test("what is not an envelope is not one; nor is one of version 1", () => {
  const older = sealSample(place, draft).envelope.replace('"v":2', '"v":1');
  for (const text of ["", "{}", "null", "[1]", '{"v":2}', older])
    expect(parseEnvelope(text)).toBeUndefined();
});

test("the sequence number is found without parsing", () => {
  expect(seqOf(sealSample(place, draft).envelope)).toBe(4);
  expect(seqOf("{}")).toBe(0);
});
