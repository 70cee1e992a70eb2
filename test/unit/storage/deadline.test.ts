/** A deadline ends what never ends, and leaves alone what does. */
import { expect, test } from "bun:test";
import { createDeadline } from "../../../src/storage/deadline.ts";
import { StoreError } from "../../../src/storage/store.ts";

const forever = new Promise<never>(() => {});

test("work that ends in time settles as it would", async () => {
  const deadline = createDeadline("PostgreSQL", 60_000);
  expect(await deadline.race(Promise.resolve("done"))).toBe("done");
  expect(await deadline.race(Promise.reject(new Error("own"))).catch(String)).toBe("Error: own");
  expect(deadline.expired).toBe(false);
  deadline.clear();
});

test("work that never ends is unavailable, and every later race too", async () => {
  let expirations = 0;
  const deadline = createDeadline("PostgreSQL", 1, () => {
    expirations += 1;
  });
  for (const _attempt of [1, 2]) {
    const error = await deadline.race(forever).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({
      kind: "unavailable",
      message: "PostgreSQL did not answer within 1 ms",
    });
  }
  expect([deadline.expired, expirations]).toEqual([true, 1]);
});
