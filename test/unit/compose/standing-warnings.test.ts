/**
 * What stays as it is is said once; everything else as often as it happens.
 */
import { expect, test } from "bun:test";
import { sayStandingOnce } from "../../../src/compose/standing-warnings.ts";
import { createLog } from "../../../src/telemetry/log.ts";

test("a standing warning is said once, and again when it is another", () => {
  const lines: string[] = [];
  const clock = { nowMs: () => 0, monotonicMs: () => 0 };
  const log = sayStandingOnce(createLog("info", clock, (line) => lines.push(line)));
  for (const months of ["2026_01", "2026_01", "2026_02"]) {
    log.warn("storage.partition_missing", { months });
    log.warn("storage.not_durable", { settings: "fsync" });
    log.warn("storage.down", { reason: "the same" });
  }
  const said = lines.map((line): string[] => {
    const { event, months } = JSON.parse(line);
    return months === undefined ? [event] : [event, months];
  });
  expect(said).toEqual([
    ["storage.partition_missing", "2026_01"],
    ["storage.not_durable"],
    ["storage.down"],
    ["storage.down"],
    ["storage.partition_missing", "2026_02"],
    ["storage.down"],
  ]);
});
