/** The pace of progress, with a clock of its own. */
import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { readObject } from "../../../src/protocol/json-view.ts";
import type { RelayedMessage } from "../../../src/protocol/messages.ts";
import {
  paceProgress,
  progressBurst,
  progressIntervalMs,
} from "../../../src/servers/progress-pace.ts";

function subject() {
  let nowMs = 1_000;
  let dropped = 0;
  const told: string[] = [];
  const pace = paceProgress({
    relay: ({ params }) => told.push(params.text),
    clock: { monotonicMs: () => nowMs },
    countDropped: () => {
      dropped += 1;
    },
  });
  return {
    pace,
    told,
    dropped: () => dropped,
    say: (progress: number) => pace.relay(progressOf(progress)),
    pass(ms: number) {
      nowMs += ms;
      jest.advanceTimersByTime(ms);
    },
  };
}

function progressOf(progress: number): RelayedMessage {
  const params = readObject(`{"progressToken":"t","progress":${progress}}`);
  return { method: "notifications/progress", params };
}

const textOf = (progress: number) => `{"progressToken":"t","progress":${progress}}`;

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

test("PR-20: a burst passes at once, a flood at its pace, and the latest is never lost", () => {
  const { pace, told, say, pass, dropped } = subject();
  for (let progress = 1; progress <= progressBurst; progress += 1) say(progress);
  expect(told.length).toBe(progressBurst);
  for (let progress = 11; progress <= 1_010; progress += 1) {
    say(progress);
    pass(1);
  }
  expect(told.length).toBeWithin(19, 22);
  say(1_011);
  pace.end();
  expect(told.at(-1)).toBe(textOf(1_011));
  expect(told.length + dropped()).toBe(1_011);
  pass(10 * progressIntervalMs);
  expect(told.at(-1)).toBe(textOf(1_011));
});

test("PR-20: one for each interval passes as it comes", () => {
  const { told, say, pass, dropped } = subject();
  for (let progress = 1; progress <= 100; progress += 1) {
    say(progress);
    pass(progressIntervalMs);
  }
  expect(told.length).toBe(100);
  expect(dropped()).toBe(0);
});

test("PR-20: what goes backwards is dropped, what stands still is not", () => {
  const { told, say, dropped } = subject();
  for (const progress of [3, 2, 3, 4, 0]) say(progress);
  expect(told).toEqual([3, 3, 4].map(textOf));
  expect(dropped()).toBe(2);
});

test("other messages pass at once", () => {
  const { pace, told } = subject();
  for (let count = 0; count < 50; count += 1) {
    pace.relay({ method: "notifications/message", params: readObject('{"data":1}') });
  }
  expect(told.length).toBe(50);
});
