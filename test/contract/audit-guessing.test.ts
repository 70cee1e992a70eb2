/**
 * K-13, PV-09: whoever has every envelope and every sealed part, and a list of all the values there could be, confirms
 * none of them. 10^5 candidates here; GUESSES=10000000 tries the ten million of the goal.
 */
import { expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { leafOf, parseEnvelope } from "../../src/audit/envelope.ts";
import { parsePart } from "../../src/audit/sealing.ts";
import { createSampleTokens, sealSample } from "../support/sealing.ts";

const guesses = Number(process.env.GUESSES ?? 100_000);
const secrets = ["user:https://idp.example#ada@example.org", "client:payroll", "4111111111111111"];

/** Everything an attacker without a key can compute for a guess about one field of one record. */
function* computable(field: string, guess: string, known: readonly Buffer[]): Generator<string> {
  const text = JSON.stringify(guess);
  for (const plain of [guess, text, `${field}\0${text}`, `${field}\0${guess}`]) {
    yield createHash("sha256").update(plain).digest("hex");
    for (const key of known) yield createHmac("sha256", key).update(plain).digest("hex");
  }
}

test(`K-13 PV-09: ${guesses} guesses, the true values among them, confirm nothing`, async () => {
  const records = secrets.map((principal, at) => {
    const place = { log: "01a1ff0d-30cc-75a2-876c-04f17cefeeb3", seq: at + 1, prev: "0" };
    const own = { event: "call.outcome", class: "A", timeMs: 5, facts: { tool: "t" } } as const;
    return sealSample(place, { ...own, details: { principal, peer: "127.0.0.1" } }, 40 + at);
  });
  // All that is stored: commitments, leaves, salts, tokens, key ids. Whole and cut to a token's length.
  const stored = new Set<string>();
  const known: Buffer[] = [Buffer.alloc(32)];
  for (const { envelope, details } of records) {
    const part = parsePart(details);
    if (typeof part !== "object") throw new Error("not sealed");
    stored.add(parseEnvelope(envelope)?.commitment ?? "").add(leafOf(envelope));
    for (const token of Object.values(part.tokens)) stored.add(token);
    known.push(Buffer.from(part.salt, "hex"), Buffer.from(part.subject, "hex"));
  }
  expect(stored.size).toBe(9);
  let hits = 0;
  for (let at = 0; at < guesses; at += 1) {
    const guess = secrets[at] ?? `user:https://idp.example#person-${at}@example.org`;
    // A commitment covers all fields at once; the peer is known, so the guess is about the rest.
    for (const hash of computable("principal", guess, at < 1_000 ? known : known.slice(0, 1))) {
      if (stored.has(hash) || stored.has(hash.slice(0, 32))) hits += 1;
    }
  }
  expect(hits).toBe(0);
  // The search itself works: with the index key, the true value is found at once.
  const found = await createSampleTokens().toStored({ principal: secrets[0] ?? "" });
  expect([found.principal].flat().filter((token) => stored.has(token ?? ""))).toHaveLength(1);
});
