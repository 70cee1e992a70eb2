/**
 * Witnesses are asked each for itself: one that is away is asked again, one that remembers another history is not (ST-22).
 */
import { afterEach, expect, test } from "bun:test";
import {
  type Rounds,
  startRounds,
  type WitnessChange,
} from "../../../../src/audit/witness/rounds.ts";
import { type Witness, WitnessConflict } from "../../../../src/audit/witness/witness.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { until } from "../../../support/deadline.ts";
import { createSampleTree } from "../../../support/sample-tree.ts";

let rounds: Rounds | undefined;
afterEach(() => rounds?.stop());

const log = createSampleTree();

function start(asked: Record<string, Witness["witness"]>) {
  const changes: Record<string, WitnessChange[]> = {};
  const kept: number[] = [];
  const newest = { size: 5 };
  const started = startRounds({
    witnesses: Object.entries(asked).map(([name, witness]) => ({
      name,
      kind: "external",
      witness,
    })),
    read: () => log.at(newest.size),
    keep: (tree) => kept.push(tree.size),
    clock: systemClock,
    intervalMs: () => 2,
    changed: (name, change) => {
      changes[name] = [...(changes[name] ?? []), change];
    },
  });
  rounds = started;
  const statusOf = (name: string) => started.status().find((status) => status.name === name);
  return { rounds: started, changes, kept, newest, statusOf };
}

const signature = { name: "w", keyId: 1, bytes: new Uint8Array(72) };

test("each new checkpoint is witnessed once, and what was signed is kept", async () => {
  let asked = 0;
  const { kept, newest, statusOf } = start({
    one: async () => {
      asked += 1;
      return [signature];
    },
  });
  await until("the first", () => statusOf("one")?.size === 5);
  newest.size = 9;
  await until("the second", () => statusOf("one")?.size === 9);
  expect(statusOf("one")).toMatchObject({ size: 9, isDown: false, failures: 0 });
  expect({ asked, kept }).toEqual({ asked: 2, kept: [5, 9] });
});

test("ST-22: one that is away is asked again, is said once, and holds up no other", async () => {
  let isAway = true;
  const { changes, statusOf } = start({
    away: async () => {
      if (isAway) throw new Error("no way there");
      return [];
    },
    here: async () => [],
  });
  await until("the other", () => statusOf("here")?.size === 5);
  await until("several tries", () => (statusOf("away")?.failures ?? 0) >= 3);
  expect(statusOf("away")).toMatchObject({ isDown: true, size: 0 });
  isAway = false;
  await until("it is back", () => statusOf("away")?.size === 5);
  expect(changes.away?.map(({ kind }) => kind)).toEqual(["down", "up"]);
  expect(changes.here).toBeUndefined();
});

test("ST-22: a conflict is said with both sizes, and that witness is not asked again", async () => {
  let asked = 0;
  const {
    changes,
    statusOf,
    rounds: started,
  } = start({
    other: async () => {
      asked += 1;
      throw new WitnessConflict("another history", 77);
    },
  });
  await until("the conflict", () => statusOf("other")?.isConflicting === true);
  await started.stop();
  expect(asked).toBe(1);
  expect(changes.other).toEqual([
    { kind: "conflict", reason: "another history", size: 5, witnessedSize: 77 },
  ]);
});

test("at the end the last checkpoint is witnessed too", async () => {
  const sizes: number[] = [];
  const {
    newest,
    statusOf,
    rounds: started,
  } = start({
    one: async (tree) => {
      sizes.push(tree.size);
      return [];
    },
  });
  await until("the first", () => statusOf("one")?.size === 5);
  newest.size = 6;
  await started.stop();
  expect(sizes).toEqual([5, 6]);
});
