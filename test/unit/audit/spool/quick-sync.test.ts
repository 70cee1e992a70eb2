/** Which syncs are waited for on the thread: those that follow a quick one. */
import { expect, test } from "bun:test";
import { realDisk } from "../../../../src/audit/spool/disk.ts";
import { withQuickSync } from "../../../../src/audit/spool/quick-sync.ts";

/** A disk whose syncs take as long as the test says, and where they ran. */
function createTimedDisk() {
  let nowMs = 0;
  const state = { takesMs: 0, error: undefined as Error | undefined, where: [] as string[] };
  const take = (where: string) => {
    nowMs += state.takesMs;
    state.where.push(where);
    return state.error;
  };
  const disk = withQuickSync(
    {
      ...realDisk,
      sync: (_fd, done) => queueMicrotask(() => done(take("pool") ?? null)),
      syncNow: () => {
        const error = take("thread");
        if (error !== undefined) throw error;
      },
    },
    { monotonicMs: () => nowMs },
  );
  const sync = () => new Promise<Error | null>((resolve) => disk.sync(3, resolve));
  return { state, sync };
}

test("a sync after a quick one is waited for on the thread, one after a slow one is not", async () => {
  const { state, sync } = createTimedDisk();
  for (const takesMs of [0.3, 0.3, 1, 1.1, 5, 0.3, 0.3]) {
    state.takesMs = takesMs;
    expect(await sync()).toBeNull();
  }
  expect(state.where).toEqual(["pool", "thread", "thread", "thread", "pool", "pool", "thread"]);
});

test("ST-09: a sync that fails on the thread is told as one in the pool is", async () => {
  const { state, sync } = createTimedDisk();
  await sync();
  state.error = new Error("EIO");
  expect(await sync()).toBe(state.error);
  expect(state.where).toEqual(["pool", "thread"]);
});
