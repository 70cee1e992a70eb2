/** What can be erased: months that are over, and where their records are looked for. */
import { expect, test } from "bun:test";
import { needPastMonth, searchOf } from "../../../src/retention/erasure-target.ts";

const nowMs = Date.UTC(2026, 10, 21);

test.each([
  ["2026-10", "over"],
  ["2025-12", "over"],
  ["2026-11", "2026-11 is not over; its key can be destroyed from 2026-12-01T00:00:00.000Z on"],
  ["2027-01", "2027-01 is not over"],
  ["2026-13", "must be a month of UTC"],
  ["2026-1", "must be a month of UTC"],
  ["", "must be a month of UTC"],
])("month %j: %s", (month, expected) => {
  const said = () => {
    try {
      needPastMonth(month, nowMs);
      return "over";
    } catch (error) {
      return String(error);
    }
  };
  expect(said()).toContain(expected);
});

test("a month goes over as its last millisecond does", () => {
  const untilMs = Date.UTC(2026, 11);
  expect(() => needPastMonth("2026-11", untilMs - 1)).toThrow("not over");
  needPastMonth("2026-11", untilMs);
  const target = { kind: "class", tenant: "t", dataClass: "SECRET", month: "2026-12" } as const;
  expect(searchOf(target, [])).toEqual({
    ...{ purpose: "class", tenant: "t", label: "SECRET 2026-12", principals: null },
    ...{ fromMs: untilMs, untilMs: Date.UTC(2027, 0) },
  });
});
