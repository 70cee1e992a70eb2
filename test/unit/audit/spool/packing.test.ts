/** Which of the writer's messages travel together; nothing is left out and nothing overtakes. */
import { expect, test } from "bun:test";
import type { FromSpool } from "../../../../src/audit/spool/messages.ts";
import { createPacking } from "../../../../src/audit/spool/packing.ts";

const written = (isAwaited: boolean) =>
  ({ kind: "written", firstSeq: 7, count: 2, isAwaited }) satisfies FromSpool;
const synced = {
  kind: "synced",
  seq: 8,
  seconds: 0.001,
  spoolBytes: 10,
  frames: undefined,
  written: undefined,
} satisfies FromSpool;
const unsynced = { kind: "unsynced", seq: 8, reason: "EIO" } satisfies FromSpool;

function pack(...messages: readonly FromSpool[]): readonly FromSpool[] {
  const posted: FromSpool[] = [];
  const { emit, flush } = createPacking((message) => posted.push(message));
  messages.forEach(emit);
  flush();
  flush();
  return posted;
}

test("written goes with its sync where nobody waits for less", () => {
  expect(pack(written(false), synced)).toEqual([{ ...synced, written: written(false) }]);
  expect(pack(written(true), synced)).toEqual([written(true), synced]);
});

test("written alone is said at the end of the turn", () => {
  expect(pack(written(false))).toEqual([written(false)]);
});

test("ST-09: written comes before the sync that failed, and is said once", () => {
  expect(pack(written(false), unsynced, synced)).toEqual([written(false), unsynced, synced]);
  expect(pack(written(false), synced, synced)).toEqual([
    { ...synced, written: written(false) },
    synced,
  ]);
});
