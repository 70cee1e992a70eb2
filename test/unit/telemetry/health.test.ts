/** Verdicts of the health checks: what makes unready, what is only shown, what is kept. */
import { expect, test } from "bun:test";
import type { Clock } from "../../../src/lib/clock.ts";
import { createHealth, type HealthCheck } from "../../../src/telemetry/health.ts";

function holdClock(): Clock & { passMs: number } {
  const clock = { passMs: 0, nowMs: () => clock.passMs, monotonicMs: () => clock.passMs };
  return clock;
}

function check(name: string, required: boolean, run: HealthCheck["run"]): HealthCheck {
  return { name, required, run };
}

const fine = async () => undefined;
const broken = async () => {
  throw new Error("no route to database");
};

test("CF-10: a required check that fails makes unready and says which", async () => {
  const checks = [check("spool", true, fine), check("database", true, broken)];
  const report = await createHealth({ clock: holdClock(), checks }).report();
  expect(report.ready).toBe(false);
  expect(report.checks[1]).toMatchObject({ name: "database", detail: "no route to database" });
});

test("an optional check that fails is shown and changes nothing", async () => {
  const checks = [check("database", false, broken)];
  const report = await createHealth({ clock: holdClock(), checks }).report();
  expect([report.ready, report.checks[0]?.ok]).toEqual([true, false]);
});

test("a check that never answers fails by its own limit and is aborted", async () => {
  let aborted = false;
  const hang = (signal: AbortSignal) =>
    new Promise<undefined>(() => {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
    });
  const checks = [check("frozen", true, hang)];
  const report = await createHealth({ clock: holdClock(), checks, checkTimeoutMs: 1 }).report();
  expect([report.ready, aborted]).toEqual([false, true]);
});

test("answers are kept while fresh", async () => {
  const clock = holdClock();
  let runs = 0;
  const counted = async () => {
    runs += 1;
    return undefined;
  };
  const health = createHealth({ clock, checks: [check("x", true, counted)], freshMs: 100 });
  await health.report();
  clock.passMs = 99;
  await health.report();
  expect(runs).toBe(1);
  clock.passMs = 100;
  await health.report();
  expect(runs).toBe(2);
});

test("CF-08: draining is unready at once, whatever was kept", async () => {
  const health = createHealth({ clock: holdClock(), checks: [] });
  expect((await health.report()).ready).toBe(true);
  health.startDraining();
  expect(await health.report()).toMatchObject({ ready: false, draining: true });
});
