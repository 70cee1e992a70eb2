import { describe, expect, test } from "bun:test";
import { createFault } from "../../../src/errors/fault.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { answerWith, type Exchange, proceed, refuse } from "../../../src/pipeline/exchange.ts";
import { createPipeline } from "../../../src/pipeline/pipeline.ts";
import type { Stage } from "../../../src/pipeline/stage.ts";
import { readObject } from "../../../src/protocol/json-view.ts";
import { silentLog } from "../../../src/telemetry/log.ts";
import { createMetrics } from "../../../src/telemetry/metrics.ts";

function run(stages: readonly Stage[]) {
  const trail: string[] = [];
  const traced = stages.map((stage) => ({
    ...stage,
    enter: (x: Exchange) => {
      trail.push(`enter ${stage.name}`);
      return stage.enter?.(x) ?? proceed;
    },
    leave: (x: Exchange) => {
      trail.push(`leave ${stage.name}`);
      return stage.leave?.(x);
    },
  }));
  const pipeline = createPipeline({
    stages: traced,
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
  });
  const x = { id: "x", entered: 0, relayed: false, outcome: undefined } as Exchange;
  return { trail, x, pipeline, done: pipeline.run(x) };
}

const ok = readObject('{"ok":true}');

describe("pipeline", () => {
  test("enters in order, leaves in reverse for exactly the stages entered", async () => {
    const { trail, x, done } = run([
      { name: "a" },
      { name: "b", enter: () => Promise.resolve(answerWith(ok)) },
      { name: "c" },
    ]);
    await done;
    expect(trail).toEqual(["enter a", "enter b", "leave b", "leave a"]);
    expect(x.outcome).toEqual({ kind: "result", result: ok });
  });

  test("a refusal ends the way in", async () => {
    const fault = createFault("rate-limited", "Rate limited");
    const { trail, x, done } = run([{ name: "a", enter: () => refuse(fault) }, { name: "b" }]);
    await done;
    expect(trail).toEqual(["enter a", "leave a"]);
    expect(x.outcome).toEqual({ kind: "fault", fault });
  });

  test.each([
    [
      "a throw on the way in",
      {
        name: "b",
        enter: () => {
          throw new Error("bug");
        },
      },
    ],
    ["a rejection on the way in", { name: "b", enter: () => Promise.reject(new Error("bug")) }],
    [
      "a throw on the way out",
      {
        name: "b",
        enter: () => answerWith(ok),
        leave: () => {
          throw new Error("bug");
        },
      },
    ],
  ])("AN-01: %s becomes internal and every entered stage still leaves", async (_, stage) => {
    const { trail, x, done } = run([{ name: "a" }, stage, { name: "c" }]);
    await done;
    expect(x.outcome).toMatchObject({
      kind: "fault",
      fault: { name: "internal", message: "Internal error" },
    });
    expect(trail).toEqual(["enter a", "enter b", "leave b", "leave a"]);
  });

  test("relay passes inner to outer through the entered stages and may drop", async () => {
    const message = { method: "notifications/progress", params: ok } as const;
    const seen: string[] = [];
    const { x, pipeline, done } = run([
      {
        name: "a",
        relay: (_, one) => {
          seen.push("a");
          return one;
        },
      },
      {
        name: "b",
        relay: (_, one) => {
          seen.push("b");
          return one;
        },
      },
      { name: "c", enter: () => answerWith(ok) },
      { name: "d", relay: () => undefined },
    ]);
    await done;
    expect(pipeline.relay(x, message)).toBe(message);
    expect(seen).toEqual(["b", "a"]);
    expect(x.relayed).toBe(true);
  });
});
