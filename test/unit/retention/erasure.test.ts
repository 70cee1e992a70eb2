/** When what is left of erased subjects is swept: together, after a while, or at once where that was asked. */
import { expect, test } from "bun:test";
import { chooseDue, defaultErasureOptions } from "../../../src/retention/erasure.ts";
import type { Sweep } from "../../../src/vault/sweeps.ts";

const nowMs = 1_000_000_000;
const { mixWaitMs } = defaultErasureOptions;

function sweep(key: string, more: Partial<Sweep> = {}): Sweep {
  return {
    ...{ key, purpose: "subject", tenant: "", label: "", principals: [], fromMs: null },
    ...{ untilMs: null, orderedAtMs: nowMs, isUrgent: false, isRecorded: true },
    ...more,
  };
}

const due = (...noted: readonly Sweep[]) =>
  chooseDue(noted, nowMs, defaultErasureOptions).map((one) => one.key);

test("PV-14 fewer subjects than are mixed wait; so many go together", () => {
  expect(due(sweep("a"), sweep("b"), sweep("c"), sweep("d"))).toEqual([]);
  expect(due(sweep("a"), sweep("b"), sweep("c"), sweep("d"), sweep("e"))).toHaveLength(5);
});

test("nobody waits longer than that, and whoever is swept takes the others along", () => {
  const old = sweep("a", { orderedAtMs: nowMs - mixWaitMs });
  expect(due(sweep("b", { orderedAtMs: nowMs - mixWaitMs + 1 }))).toEqual([]);
  expect(due(old, sweep("b"))).toEqual(["a", "b"]);
  expect(due(sweep("a", { isUrgent: true }), sweep("b"))).toEqual(["a", "b"]);
});

test("a class's month is swept at once, and no subject with it", () => {
  expect(due(sweep("a"), sweep("m", { purpose: "class" }))).toEqual(["m"]);
});
