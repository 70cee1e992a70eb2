/** The conformance run can fail: what is clean, what an expected failure excuses, and what makes an entry stale. */
import { describe, expect, test } from "bun:test";
import type { Check } from "./official-suite.ts";
import { type Cell, type ExpectedFailure, findUnused, judge, judgeAll } from "./verdict.ts";

const check = (status: Check["status"], id = "a"): Check => ({ id, status });

const cell = (checks: readonly Check[] | undefined, column = "own scope"): Cell => ({
  set: "2026-07-28",
  column,
  scenario: "ping",
  isScored: true,
  checks,
});

const entry: ExpectedFailure = {
  set: "2026-07-28",
  columns: ["own scope"],
  scenarios: ["ping"],
  reason: "not built",
};

describe("a scenario is clean", () => {
  test.each([
    ["where a check succeeds", [check("SUCCESS")], "clean"],
    [
      "whatever is told or skipped besides",
      [check("SUCCESS"), check("INFO"), check("SKIPPED")],
      "clean",
    ],
    ["but not where one fails", [check("SUCCESS"), check("FAILURE")], "failed"],
    ["nor where one warns", [check("SUCCESS"), check("WARNING")], "failed"],
    ["nor where none succeeds", [check("INFO")], "failed"],
    ["nor without a result", undefined, "failed"],
  ] as const)("%s", (_, checks, verdict) => {
    expect(judge(cell(checks), []).verdict).toBe(verdict);
  });

  test("but not where a check is skipped that succeeds straight", () => {
    const straight = cell([check("SUCCESS", "a"), check("SUCCESS", "b")], "straight");
    const through = cell([check("SUCCESS", "a"), check("SKIPPED", "b")]);
    const [first, second] = judgeAll([straight, through], []);
    expect(first?.verdict).toBe("clean");
    expect(second).toMatchObject({
      verdict: "failed",
      complaints: [{ check: "b", text: "SKIPPED b, which succeeds straight" }],
    });
  });
});

describe("an expected failure", () => {
  test("excuses its scenario in its column, with the reason", () => {
    const judged = judge(cell([check("FAILURE")]), [entry]);
    expect(judged).toMatchObject({ verdict: "expected", reason: "not built" });
  });

  test("is stale once the scenario is clean", () => {
    expect(judge(cell([check("SUCCESS")]), [entry]).verdict).toBe("stale");
  });

  test("of single checks excuses these and no others", () => {
    const single = { ...entry, checks: ["b"] };
    const verdict = (...checks: readonly Check[]) =>
      judge(cell([check("SUCCESS"), ...checks]), [single]).verdict;
    expect(verdict(check("FAILURE", "b"))).toBe("expected");
    expect(verdict(check("FAILURE", "b"), check("WARNING", "c"))).toBe("failed");
    expect(verdict()).toBe("stale");
    const both = { ...entry, checks: ["b", "c"] };
    expect(judge(cell([check("FAILURE", "b")]), [both]).verdict).toBe("stale");
  });

  test("excuses no other column", () => {
    expect(judge(cell([check("FAILURE")], "virtual"), [entry]).verdict).toBe("failed");
  });

  test("for what does not exist is told", () => {
    const cells = [cell([check("SUCCESS")])];
    expect(findUnused([entry], cells)).toEqual([]);
    const wrong = { ...entry, scenarios: ["ping", "pong"] };
    expect(findUnused([wrong], cells)).toEqual(["2026-07-28, own scope: pong"]);
  });
});
