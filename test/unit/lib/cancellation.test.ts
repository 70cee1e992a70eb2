import { describe, expect, test } from "bun:test";
import { Cancellation, type CancelSignal, withinTime } from "../../../src/lib/cancellation.ts";

describe("cancellation", () => {
  test("aborts once, for everybody who listens then", () => {
    const cancellation = new Cancellation();
    const heard: string[] = [];
    const left = () => heard.push("left");
    cancellation.addEventListener("abort", () => heard.push("stayed"));
    cancellation.addEventListener("abort", left);
    cancellation.removeEventListener("abort", left);
    expect(cancellation.aborted).toBe(false);
    cancellation.abort();
    cancellation.addEventListener("abort", () => heard.push("late"));
    cancellation.abort();
    expect(cancellation.signal.aborted).toBe(true);
    expect(heard).toEqual(["stayed"]);
  });

  test("a listener that stops listening while others hear of it does not disturb them", () => {
    const cancellation = new Cancellation();
    const heard: number[] = [];
    for (const at of [1, 2, 3]) {
      const listener = () => {
        heard.push(at);
        cancellation.removeEventListener("abort", listener);
      };
      cancellation.addEventListener("abort", listener);
    }
    cancellation.abort();
    expect(heard).toEqual([1, 2, 3]);
  });

  test("the platform's signal is one", () => {
    const controller = new AbortController();
    const signal: CancelSignal = controller.signal;
    let heard = 0;
    signal.addEventListener("abort", () => (heard += 1), { once: true });
    controller.abort();
    expect({ heard, aborted: signal.aborted }).toEqual({ heard: 1, aborted: true });
  });

  test("work within a time hears of its end, and of its caller's", async () => {
    const cancellation = new Cancellation();
    const untilAborted = (signal: CancelSignal) =>
      new Promise<string>((resolve) =>
        signal.addEventListener("abort", () => resolve("aborted"), { once: true }),
      );
    expect(await withinTime(cancellation, 1, untilAborted)).toBe("aborted");
    expect(cancellation.aborted).toBe(false);
    const waiting = withinTime(cancellation, 60_000, untilAborted);
    cancellation.abort();
    expect(await waiting).toBe("aborted");
    expect(await withinTime(cancellation, 60_000, async (signal) => signal.aborted)).toBe(true);
  });
});
