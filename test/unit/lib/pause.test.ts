/** Waits that are ended early. */
import { expect, test } from "bun:test";
import { createPause } from "../../../src/lib/pause.ts";

test("a wait ends by itself, and early where somebody ends it", async () => {
  const pause = createPause();
  await pause.wait(1);
  const waiting = pause.wait(2 ** 30);
  pause.end();
  expect(await waiting).toBeUndefined();
});

test("ending where nothing waits does not shorten the next wait", async () => {
  const pause = createPause();
  pause.end();
  let isOver = false;
  const waiting = pause.wait(2 ** 30).then(() => {
    isOver = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isOver).toBe(false);
  pause.end();
  await waiting;
});
