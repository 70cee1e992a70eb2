/**
 * The golden vectors of commitment, sealing and tokens, which another implementation reads as well; and K-11: nothing
 * that was changed, or lies in another place, opens.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  checkOpening,
  commitFields,
  type FieldOpening,
  type Fields,
} from "../../../src/audit/commitment.ts";
import { leafOf, parseEnvelope } from "../../../src/audit/envelope.ts";
import { openSealed } from "../../../src/audit/opener.ts";
import { openPart, parsePart, sealPart } from "../../../src/audit/sealing.ts";
import { renderToken } from "../../../src/audit/tokens.ts";
import { deriveKey } from "../../../src/vault/labels.ts";

type Vector = { readonly name: string; readonly ok: boolean } & (
  | {
      readonly kind: "commitment";
      readonly random: string;
      readonly fields: Fields;
      readonly commitment: string;
    }
  | { readonly kind: "opening"; readonly commitment: string; readonly opening: FieldOpening }
  | {
      readonly kind: "pair-key";
      readonly subjectKey: string;
      readonly classKey: string;
      readonly pairKey: string;
    }
  | {
      readonly kind: "token";
      readonly indexKey: string;
      readonly member: string;
      readonly value: string;
      readonly token: string;
    }
  | {
      readonly kind: "record";
      readonly envelope: string;
      readonly leaf: string;
      readonly part: string;
      readonly values: Fields;
      readonly subjectKey: string;
      readonly classKey: string;
    }
);

const path = join(import.meta.dir, "../../support/audit-vectors/sealing.json");
const { vectors } = JSON.parse(readFileSync(path, "utf8")) as { readonly vectors: Vector[] };
const unhex = (hex: string) => Buffer.from(hex, "hex");

function pairKeyOf(subjectKey: string, classKey: string): Buffer {
  return deriveKey(unhex(subjectKey + classKey), "pair", Buffer.alloc(0));
}

function holds(vector: Vector): boolean {
  switch (vector.kind) {
    case "commitment":
      return commitFields(unhex(vector.random), vector.fields) === vector.commitment;
    case "opening":
      return checkOpening(vector.commitment, vector.opening);
    case "pair-key":
      return pairKeyOf(vector.subjectKey, vector.classKey).toString("hex") === vector.pairKey;
    case "token":
      return renderToken(unhex(vector.indexKey), vector.member, vector.value) === vector.token;
    case "record":
      return isSound(vector);
    default:
      return vector satisfies never;
  }
}

function isSound(record: Extract<Vector, { readonly kind: "record" }>): boolean {
  const envelope = parseEnvelope(record.envelope);
  const part = parsePart(record.part);
  if (envelope === undefined || part === undefined) return false;
  if (leafOf(record.envelope) !== record.leaf) return false;
  if (part === "empty") return commitFields(new Uint8Array(32), {}) === envelope.commitment;
  const opened = openSealed(envelope, part, pairKeyOf(record.subjectKey, record.classKey));
  return opened !== undefined && opened.text === JSON.stringify(record.values);
}

test("there are enough vectors, negative ones and others", () => {
  expect(vectors.length).toBeGreaterThanOrEqual(60);
  expect(vectors.filter((vector) => !vector.ok).length).toBeGreaterThanOrEqual(40);
});

test.each(vectors.map((vector) => [vector.kind, vector.name, vector] as const))(
  "K-11 golden vector: %s: %s",
  (_kind, _name, vector) => {
    expect(holds(vector)).toBe(vector.ok);
  },
);

const place = { log: "log-1", seq: 3, commitment: "c".repeat(64) };
const key = new Uint8Array(32).fill(4);
const toSeal = {
  subject: "00112233445566ff",
  class: "aabbccddeeff0011",
  key,
  salt: new Uint8Array(16).fill(5),
  random: new Uint8Array(32).fill(6),
  tokens: { principal: "ab".repeat(16), client: "cd".repeat(16) },
  values: '{"principal":"ada","client":"ci"}',
};
const sealed = sealPart(place, toSeal);

function opensAs(text: string, at = place, under = key): unknown {
  const part = parsePart(text);
  return typeof part === "object" ? openPart(at, part, under)?.values : undefined;
}

describe("K-11", () => {
  test("what was sealed opens in its place, and nowhere else", () => {
    expect(opensAs(sealed)).toEqual({ principal: "ada", client: "ci" });
    for (const at of [
      { ...place, log: "log-2" },
      { ...place, seq: 4 },
      { ...place, commitment: "d".repeat(64) },
    ]) {
      expect(opensAs(sealed, at)).toBeUndefined();
    }
    expect(opensAs(sealed, place, new Uint8Array(32).fill(5))).toBeUndefined();
  });

  test("no bit of it can be flipped: every bit of every byte", () => {
    const bytes = Buffer.from(sealed);
    for (let at = 0; at < bytes.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        expect([at, bit, opensAs(flipped.toString("utf8"))]).toEqual([at, bit, undefined]);
      }
    }
  });

  test("whatever tokens there are come back, and the text has no second form", () => {
    const all = { principal: "01".repeat(16), client: "23".repeat(16), session: "45".repeat(16) };
    const { principal, client, session } = all;
    for (const tokens of [
      ...[{}, { principal }, { client }, { session }, { principal, client }],
      ...[{ principal, session }, { client, session }, all],
    ]) {
      const text = sealPart(place, { ...toSeal, tokens });
      expect(parsePart(text)).toMatchObject({ subject: toSeal.subject, class: toSeal.class });
      expect(parsePart(text)).toHaveProperty("tokens", tokens);
    }
    const text = sealPart(place, { ...toSeal, tokens: all });
    const { principal: first, ...others } = all;
    for (const other of [
      JSON.stringify({ ...JSON.parse(text), tokens: { ...others, principal: first } }),
      text.replace(',"client"', ', "client"'),
      text.replace(',"client"', '"client"'),
      text.replace(`"${session}"}`, `"${session}",}`),
      text.replace(`"client":"${client}"`, `"principal":"${client}"`),
      text.replace(`"client":"${client}"`, `"client":"${client}","client":"${client}"`),
      text.replace("client", "tenant"),
      `${text} `,
    ]) {
      expect([other, parsePart(other)]).toEqual([other, undefined]);
    }
  });

  test("parts of two fields, two people or two tenants do not change places", () => {
    const other = sealPart({ ...place, seq: 4 }, { ...toSeal, subject: "ffffffffffffffff" });
    expect(opensAs(other)).toBeUndefined();
    const [one, two] = [JSON.parse(sealed), JSON.parse(other)];
    expect(opensAs(JSON.stringify({ ...one, sealed: two.sealed }))).toBeUndefined();
    expect(opensAs(JSON.stringify({ ...two, sealed: one.sealed }))).toBeUndefined();
    expect(opensAs(JSON.stringify({ ...one, tokens: { principal: one.tokens.client } }))).toBe(
      undefined,
    );
  });
});
