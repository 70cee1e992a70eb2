/** When key sets are loaded, how often, and what happens while they cannot be (faults AN-12, AN-13, AN-14). */
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { exportJWK } from "jose";
import { createJwks } from "../../../src/identity/jwks.ts";

const key = generateKeyPairSync("ed25519").publicKey;
const setOf = async (...kids: string[]) =>
  JSON.stringify({
    keys: await Promise.all(kids.map(async (kid) => ({ ...(await exportJWK(key)), kid }))),
  });

function setUp(first: string) {
  const state = { text: first as string | undefined, loads: 0, nowMs: 0 };
  const jwks = createJwks({
    load: async () => {
      state.loads += 1;
      if (state.text === undefined) throw new Error("down");
      return state.text;
    },
    clock: { nowMs: () => 0, monotonicMs: () => state.nowMs },
    freshMs: 1000,
    staleMs: 5000,
    cooldownMs: 300,
  });
  return { state, jwks, find: (kid: string) => jwks.find(kid, "EdDSA") };
}

describe("JWKS", () => {
  test("AN-13 unknown kids cost one load in a cooldown, however many ask", async () => {
    const { state, find } = setUp(await setOf("a"));
    expect(await find("a")).toBeDefined();
    state.nowMs = 300;
    const found = await Promise.all(Array.from({ length: 500 }, (_, n) => find(`random-${n}`)));
    expect(found.every((one) => one === undefined)).toBe(true);
    expect(state.loads).toBe(2);
    for (let n = 0; n < 500; n += 1) await find(`more-${n}`);
    expect(state.loads).toBe(2);
  });

  test("a new key is found at the first token that needs it", async () => {
    const { state, find } = setUp(await setOf("a"));
    await find("a");
    state.text = await setOf("a", "b");
    state.nowMs = 400;
    expect(await find("b")).toBeDefined();
  });

  test("AN-12 an outage is bridged until the set is stale, then nothing is trusted", async () => {
    const { state, jwks, find } = setUp(await setOf("a"));
    const name = (await find("a"))?.name ?? "";
    state.text = undefined;
    state.nowMs = 5900;
    expect(await find("a")).toBeDefined();
    expect(jwks.holds(name)).toBe(true);
    state.nowMs = 6000;
    expect(await find("a")).toBeUndefined();
    expect(jwks.holds(name)).toBe(false);
  });

  test("AN-14 a key removed from the set is no longer held", async () => {
    const { state, jwks, find } = setUp(await setOf("a"));
    const name = (await find("a"))?.name ?? "";
    state.text = await setOf("b");
    state.nowMs = 1000;
    expect(jwks.holds(name)).toBe(true);
    await find("b");
    expect(jwks.holds(name)).toBe(false);
  });

  test.each(["<html>", "[]", "{}", '{"keys":{}}', `{"keys":[${Array(65).fill("{}")}]}`])(
    "AN-12 %p is no key set",
    async (text) => {
      expect(await setUp(text).find("a")).toBeUndefined();
    },
  );
});
