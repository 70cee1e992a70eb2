/** A damaged key id is told from a stranger's, and strangers are asked about once. */
import { expect, test } from "bun:test";
import { parseEnvelope } from "../../../src/audit/envelope.ts";
import { createNearKeys } from "../../../src/audit/near-keys.ts";
import { parsePart, type SealedPart } from "../../../src/audit/sealing.ts";
import type { OpeningKey, PairId } from "../../../src/vault/keys.ts";
import { sampleKeys, samplePair, sealSample } from "../../support/sealing.ts";

const record = sealSample(
  { log: "log-1", seq: 1, prev: "0".repeat(64) },
  {
    ...{ event: "call.outcome", class: "A", timeMs: 1 },
    ...{ facts: {}, details: { principal: "client:ann" } },
  },
);
const envelope = parseEnvelope(record.envelope);
const part = parsePart(record.details);
if (envelope === undefined || typeof part !== "object") throw new Error("nothing was sealed");
const own = { envelope, part };

/** A vault that has the sample pair and nothing else. */
function createKeys(held: () => Promise<OpeningKey>) {
  const asked: PairId[] = [];
  const openingKeys = async (pairs: readonly PairId[]) => {
    asked.push(...pairs);
    const isHeld = (pair: PairId) =>
      pair.subject === samplePair.subject && pair.class === samplePair.class;
    return await Promise.all(pairs.map((pair) => (isHeld(pair) ? held() : ("unknown" as const))));
  };
  return { asked, near: createNearKeys({ openingKeys }) };
}

const held = async () => (await sampleKeys.openingKeys([samplePair]))[0] ?? "unknown";
const named = (ids: Partial<PairId>): SealedPart => ({ ...own.part, ...ids });

test.each([
  ["the subject", { subject: `b${samplePair.subject.slice(1)}` }],
  ["the class", { class: `${samplePair.class.slice(0, -1)}0` }],
])("R-10 one digit of the id of %s is found", async (_what, ids) => {
  const { near } = createKeys(held);
  expect(await near.isMisnamed(own.envelope, named(ids))).toBe(true);
});

test("a part that would not open under the neighbour either is not called misnamed", async () => {
  const { near } = createKeys(held);
  const other = { ...own.envelope, seq: 2 };
  const ids = { subject: `b${samplePair.subject.slice(1)}` };
  expect(await near.isMisnamed(other, named(ids))).toBe(false);
});

test("another vault's ids are asked about once; what cannot be asked is asked again", async () => {
  const { near, asked } = createKeys(held);
  const stranger = named({ subject: "0123456789abcdef" });
  expect(await near.isMisnamed(own.envelope, stranger)).toBe(false);
  expect(asked).toHaveLength(2 * 16 * 15);
  expect(await near.isMisnamed(own.envelope, stranger)).toBe(false);
  expect(asked).toHaveLength(2 * 16 * 15);
  const away = createKeys(() => Promise.reject(new Error("away")));
  const ids = { subject: `b${samplePair.subject.slice(1)}` };
  expect(await away.near.isMisnamed(own.envelope, named(ids))).toBe(false);
  expect(await away.near.isMisnamed(own.envelope, named(ids))).toBe(false);
  expect(away.asked).toHaveLength(4 * 16 * 15);
  const destroyed = createKeys(async () => "destroyed");
  expect(await destroyed.near.isMisnamed(own.envelope, named(ids))).toBe(false);
});
