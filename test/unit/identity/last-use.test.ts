import { expect, test } from "bun:test";
import { createLastUse, type UseKeeper } from "../../../src/identity/last-use.ts";
import type { Principal } from "../../../src/identity/principal.ts";

function createTest(slotsMax?: number) {
  let nowMs = 1_000;
  let isDown = false;
  const stored = new Map<string, number>();
  const written: string[][] = [];
  const forgotten: string[] = [];
  const keeper: UseKeeper = {
    async note(uses) {
      if (isDown) throw new Error("down");
      written.push(uses.map(({ name }) => name));
      for (const { name, usedAtMs } of uses) stored.set(name, usedAtMs);
    },
    read: async (names) =>
      names.flatMap((name) => {
        const usedAtMs = stored.get(name);
        return usedAtMs === undefined ? [] : [{ name, usedAtMs }];
      }),
    unused: async (untilMs, limit, after) => {
      const old = [...stored].filter(([name, at]) => at < untilMs && name > after);
      const names = old.map(([name]) => name).sort();
      return names.slice(0, limit);
    },
    forget: async (names) => void forgotten.push(...names),
  };
  const state = {
    tokens: new Map([["d1", { id: "t1" }]]),
    clients: new Map([["ci", {}]]),
  };
  const lastUse = createLastUse({
    keeper,
    state: () => state,
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    log: { warn: () => {} },
    ...(slotsMax === undefined ? {} : { slotsMax }),
  });
  return {
    lastUse,
    state,
    written,
    forgotten,
    stored,
    pass: (ms: number) => (nowMs += ms),
    setDown: (down: boolean) => (isDown = down),
  };
}

const principalOf = (digest: string, clientId: string | undefined = "ci") =>
  ({ credentialDigest: digest, clientId }) as Principal;

test("A02: many uses are one write, of the latest time", async () => {
  const { lastUse, written, pass } = createTest();
  const principal = principalOf("d1");
  for (let count = 0; count < 100; count += 1) {
    pass(1);
    lastUse.note(principal);
  }
  expect(await lastUse.read("token", ["t1", "t2"])).toEqual(new Map([["t1", 1_100]]));
  await lastUse.flush();
  await lastUse.flush();
  expect(written).toEqual([["token:t1", "client:ci"]]);
  expect(await lastUse.read("client", ["ci"])).toEqual(new Map([["ci", 1_100]]));
  pass(50);
  lastUse.note(principal);
  await lastUse.flush();
  expect(await lastUse.read("token", ["t1"])).toEqual(new Map([["t1", 1_150]]));
});

test("A02: what the database would not take is written in the next round", async () => {
  const { lastUse, written, setDown } = createTest();
  lastUse.note(principalOf("d1"));
  setDown(true);
  await lastUse.flush();
  expect(await lastUse.read("token", ["t1"])).toEqual(new Map([["t1", 1_000]]));
  setDown(false);
  await lastUse.flush();
  expect(written).toEqual([["token:t1", "client:ci"]]);
});

test("A02: bounded, and nobody without a client is kept; tokens that are gone have no name", async () => {
  const { lastUse, written } = createTest(2);
  lastUse.note(principalOf("x", undefined));
  for (const digest of ["d2", "d3", "d1"]) lastUse.note(principalOf(digest));
  await lastUse.flush();
  expect(written).toEqual([["client:ci"]]);
});

test("A02: once a day, what is long unused and no longer registered is forgotten", async () => {
  const { lastUse, forgotten, stored, pass } = createTest();
  for (const name of ["token:t1", "token:gone", "client:ci", "client:gone"]) stored.set(name, 1);
  pass(31 * 86_400_000);
  await lastUse.flush();
  expect(forgotten).toEqual(["client:gone", "token:gone"]);
});

test("A02: what is gone is forgotten however much is unused and still registered", async () => {
  const { lastUse, forgotten, stored, state, pass } = createTest();
  for (let at = 0; at < 1_000; at += 1) {
    const id = `c${at}`;
    state.clients.set(id, {});
    stored.set(`client:${id}`, 1);
  }
  stored.set("token:gone", 1);
  pass(31 * 86_400_000);
  await lastUse.flush();
  expect(forgotten).toEqual(["token:gone"]);
});
