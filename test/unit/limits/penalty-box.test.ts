/** Who ignores refusals is put aside, told so, and let out: by time, or by an operator (L10). */
import { expect, test } from "bun:test";
import { createPenaltyBox } from "../../../src/limits/penalty-box.ts";

function setUp(refusalsMax = 3, keysMax = 10) {
  const time = { ms: 1_000 };
  const clock = { nowMs: () => time.ms, monotonicMs: () => time.ms };
  const told: string[] = [];
  const box = createPenaltyBox({
    refusalsMax,
    penaltyMs: 300_000,
    clock,
    metrics: { count() {} },
    onStart: ({ kind, key, refusals }) => void told.push(`in ${kind} ${key} ${refusals}`),
    onEnd: ({ kind, key }, why) => void told.push(`out ${kind} ${key} ${why}`),
    keysMax,
  });
  const refuse = (times: number, key = "client:a") => {
    for (let n = 0; n < times; n += 1) box.noteRefusal("principal", key);
  };
  return { box, time, told, refuse };
}

test("L10 repeated refusals within a minute put a caller aside, for its time and no other", () => {
  const { box, time, told, refuse } = setUp();
  refuse(2);
  expect(box.check("principal", "client:a")).toBeUndefined();
  refuse(1);
  expect(box.check("principal", "client:a")).toMatchObject({
    name: "rate-limited",
    retryAfterMs: 300_000,
    reason: "penalty",
  });
  expect(box.check("source", "client:a")).toBeUndefined();
  expect(box.check("principal", "client:b")).toBeUndefined();
  time.ms += 299_999;
  refuse(100);
  expect(box.check("principal", "client:a")?.retryAfterMs).toBe(1);
  time.ms += 1;
  expect(box.check("principal", "client:a")).toBeUndefined();
  expect(told).toEqual(["in principal client:a 3", "out principal client:a expired"]);
  refuse(2);
  expect(box.check("principal", "client:a")).toBeUndefined();
});

test("L10 refusals of another minute do not add up; 0 means never", () => {
  const { box, time, refuse } = setUp();
  for (let minute = 0; minute < 10; minute += 1) {
    refuse(2);
    time.ms += 60_000;
  }
  expect(box.check("principal", "client:a")).toBeUndefined();
  const off = setUp(0);
  off.refuse(10_000);
  expect(off.box.check("principal", "client:a")).toBeUndefined();
});

test("L10 is listed soonest first, cleared once, and recorded once each way", () => {
  const { box, time, told, refuse } = setUp();
  refuse(3);
  time.ms += 1000;
  refuse(3, "client:b");
  expect(box.list().map(({ key, endsAtMs }) => [key, endsAtMs])).toEqual([
    ["client:a", 301_000],
    ["client:b", 302_000],
  ]);
  expect(box.clear("principal", "client:a")).toBe(true);
  expect(box.clear("principal", "client:a")).toBe(false);
  expect(box.clear("source", "client:b")).toBe(false);
  expect(box.check("principal", "client:a")).toBeUndefined();
  time.ms += 300_000;
  box.sweep();
  box.sweep();
  expect(box.list()).toEqual([]);
  expect(told.slice(2)).toEqual([
    "out principal client:a cleared",
    "out principal client:b expired",
  ]);
});

test("L06 what another node decided holds here, and only whoever clears it tells of its end", () => {
  const { box, time, told } = setUp();
  const penalty = {
    kind: "principal",
    key: "client:z",
    startedAtMs: 0,
    endsAtMs: 9000,
    refusals: 3,
  };
  box.adopt({ ...penalty, kind: "principal" });
  expect(box.check("principal", "client:z")?.retryAfterMs).toBe(8000);
  box.forget("principal", "client:z");
  expect(box.check("principal", "client:z")).toBeUndefined();
  box.adopt({ ...penalty, kind: "principal" });
  time.ms = 9000;
  box.sweep();
  expect(told).toEqual([]);
  box.adopt({ ...penalty, kind: "principal" });
  expect(box.list()).toEqual([]);
  box.adopt({ ...penalty, kind: "principal", endsAtMs: 20_000 });
  expect(box.clear("principal", "client:z")).toBe(true);
  expect(told).toEqual(["out principal client:z cleared"]);
});

test("OV-03 the box is bounded", () => {
  const { box, refuse } = setUp(1, 5);
  for (let n = 0; n < 100; n += 1) refuse(1, `client:${n}`);
  expect(box.list().length).toBe(5);
});
