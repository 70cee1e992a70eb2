/** A copy that catches up is waited for, one that stands still is not. */
import { expect, test } from "bun:test";
import { untilCopied } from "../../../../src/audit/verify/copy-progress.ts";
import { systemClock } from "../../../../src/lib/clock.ts";

test("ST-01 waits while the copy gets further, however slowly, and ends once it holds enough", async () => {
  let copied = 0;
  const asked: number[] = [];
  const step = () => {
    copied += 1;
    asked.push(copied);
    return copied;
  };
  await untilCopied({ size: 6, copied: step, stalledMs: 5_000, clock: systemClock });
  expect(asked).toEqual([1, 2, 3, 4, 5, 6]);
});

test("a copy that stands still is given up, and so is one that nobody asks about any more", async () => {
  await untilCopied({ size: 6, copied: () => 5, stalledMs: 120, clock: systemClock });
  const signal = AbortSignal.abort(new Error("the caller left"));
  const left = untilCopied({
    size: 6,
    copied: async () => 5,
    stalledMs: 60_000,
    clock: systemClock,
    signal,
  });
  await expect(left).rejects.toThrow("the caller left");
});
