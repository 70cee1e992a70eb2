import { expect, test } from "bun:test";
import { createReplays } from "../../../../src/identity/proof/replays.ts";

function replaysAt(usedMax: number) {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  return { replays: createReplays({ clock, usedMax }), pass: (ms: number) => (nowMs += ms) };
}

test("AN-21: one use each, for each owner, until it has ended", () => {
  const { replays, pass } = replaysAt(100);
  expect(replays.take("a", "n", 1_000)).toBe("fresh");
  expect(replays.take("a", "n", 1_000)).toBe("replayed");
  expect(replays.take("b", "n", 1_000)).toBe("fresh");
  pass(1_000);
  expect(replays.take("a", "n", 2_000)).toBe("fresh");
});

test("AN-21: bounded: one owner fills its share and no more, and full is refused, never forgotten", () => {
  const { replays, pass } = replaysAt(8);
  expect(["1", "2", "3"].map((n) => replays.take("a", n, 5_000))).toEqual([
    "fresh",
    "fresh",
    "full",
  ]);
  expect(replays.take("a", "1", 5_000)).toBe("replayed");
  for (const owner of ["b", "c", "d"]) {
    for (const n of ["1", "2"]) expect(replays.take(owner, n, 5_000)).toBe("fresh");
  }
  expect(replays.take("e", "1", 5_000)).toBe("full");
  expect(replays.size()).toBe(8);
  pass(5_000);
  expect(replays.take("e", "1", 9_000)).toBe("fresh");
  expect(replays.size()).toBe(1);
});
