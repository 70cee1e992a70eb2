import { expect, test } from "bun:test";
import { once } from "../../../src/lib/once.ts";

test("is made at the first asking and never again, whatever it is", () => {
  let made = 0;
  const get = once(() => {
    made += 1;
    return undefined;
  });
  expect(made).toBe(0);
  expect([get(), get()]).toEqual([undefined, undefined]);
  expect(made).toBe(1);
});

test("is tried again where making it failed", () => {
  let tries = 0;
  const get = once(() => {
    tries += 1;
    if (tries === 1) throw new Error("not yet");
    return "there";
  });
  expect(get).toThrow("not yet");
  expect(get()).toBe("there");
});
