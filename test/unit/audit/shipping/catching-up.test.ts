import { expect, test } from "bun:test";
import { createCatchingUp } from "../../../../src/audit/shipping/catching-up.ts";

function start(synced: number, shipped: number) {
  const state = { synced, shipped, isAway: false, hurried: 0 };
  const shipper = {
    wake: (isUrgent?: boolean) => {
      if (isUrgent) state.hurried += 1;
    },
    isAway: () => state.isAway,
    shippedSeq: () => state.shipped,
  };
  const catchingUp = createCatchingUp({ shipper: () => shipper, syncedSeq: () => state.synced });
  return { state, catchingUp };
}

const never = 3_600_000;

test("a reader hurries the copy and goes on with the record that was last when it asked", async () => {
  const { state, catchingUp } = start(7, 3);
  let isDone = false;
  const waiting = catchingUp.wait(never).then(() => {
    isDone = true;
  });
  expect(state.hurried).toBe(1);
  state.synced = 99;
  catchingUp.noteCopied(6);
  await Bun.sleep(1);
  expect(isDone).toBe(false);
  catchingUp.noteCopied(7);
  await waiting;
});

test("nothing is waited for where all is copied, or the database is away (ST-01)", async () => {
  const { state, catchingUp } = start(7, 7);
  await catchingUp.wait(never);
  state.synced = 8;
  state.isAway = true;
  await catchingUp.wait(never);
  expect(state.hurried).toBe(0);
});

test("a database that hangs is waited for no longer than was said (ST-02)", async () => {
  const { state, catchingUp } = start(7, 3);
  await catchingUp.wait(1);
  expect(state.hurried).toBe(1);
});
