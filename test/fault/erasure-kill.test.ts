/**
 * K-14, ST-12: killed before and after each thing that erasing and rotating do, the log is sound at once, and the
 * next run finishes what was begun. `MCP_GATEWAY_ERASURE_RUNS` bounds how many steps are broken off at (0 = each).
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseSeqs } from "../../src/lib/seqs.ts";
import { openErasingLog } from "../support/erasing-log.ts";
import { findAbsences, type HeldRecord, readRows, readSpool } from "../support/lawful-absence.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(600_000);

const runsMax = Number(process.env.MCP_GATEWAY_ERASURE_RUNS ?? 8) || Number.POSITIVE_INFINITY;
const childTimeoutMs = 60_000;

function runChild(dataDir: string, killAt: number, run: number) {
  const child = join(import.meta.dir, "../support/erasing-child.ts");
  const { stdout, stderr, signal, status } = spawnSync(
    process.execPath,
    [child, dataDir, String(killAt), String(run)],
    { encoding: "utf8", timeout: childTimeoutMs },
  );
  const lines = stdout.trim().split("\n");
  return { lines, signal, status, stderr };
}

/** The spool as a crash left it. */
function check(dataDir: string): void {
  const spool = findAbsences(readSpool(dataDir));
  expect([spool.broken, spool.unlawful]).toEqual([[], []]);
}

/** Whether the run came to note the erasure that was asked of it. */
function isNoted(lines: readonly string[]): boolean {
  const asked = lines.indexOf("asked");
  return asked !== -1 && lines.slice(asked).some((line) => line.endsWith("after put"));
}

test("K-14 ST-12 killed at each step of erasing and rotating, the log verifies and the next run goes on", async () => {
  await using folder = temporaryFolder("erasure-kill");
  const dataDir = folder.path;
  const whole = runChild(dataDir, 0, 0);
  expect([whole.stderr, whole.lines.at(-1)]).toEqual(["", "done"]);
  const steps = whole.lines.length - 2;
  expect(steps).toBeGreaterThan(40);
  const stride = Math.max(1, Math.ceil(steps / runsMax));
  let run = 0;
  const kept: string[] = [];
  for (let killAt = 1 + (Date.now() % stride); killAt <= steps; killAt += stride) {
    run += 1;
    const { lines, signal, stderr } = runChild(dataDir, killAt, run);
    expect(stderr).toBe("");
    // What is done side by side is not counted the same each time, so the last steps may not be reached.
    expect(signal === "SIGKILL" || lines.at(-1) === "done").toBe(true);
    if (!isNoted(lines)) kept.push(`client:subject-${run}`);
    check(dataDir);
  }
  run += 1;
  const last = runChild(dataDir, 0, run);
  expect([last.stderr, last.lines.at(-1)]).toEqual(["", "done"]);
  check(dataDir);
  await using own = await openErasingLog(dataDir);
  await own.shipped();
  const { logId } = own.log.status();
  const rows = await readRows(own.store, logId);
  const { broken, unlawful, lawful } = findAbsences(rows);
  expect([broken, unlawful]).toEqual([[], []]);
  // Whoever's erasure was noted is gone, whatever came after; of the others nothing is.
  const names = new Set((await own.readable()).values());
  expect([...names].filter((name) => name !== "client:keeper").sort()).toEqual(kept.sort());
  expect(lawful.length).toBeGreaterThan(0);
  expectEachOrderCounts(rows);
});

/** Without any one of the orders something is missing unlawfully. */
function expectEachOrderCounts(rows: readonly HeldRecord[]): void {
  const orders = rows.filter((row) => row.envelope?.includes('"event":"erasure.executed"'));
  expect(orders.length).toBeGreaterThan(0);
  const named = (row: HeldRecord) =>
    parseSeqs(JSON.parse(row.envelope ?? "{}").facts.erasedSeqs, rows.length) ?? [];
  let counted = 0;
  for (const order of orders) {
    const others = new Set(orders.filter((other) => other !== order).flatMap(named));
    // After a crash what one names is named by others as well, which name more since more was erased.
    if (named(order).every((seq) => others.has(seq))) continue;
    counted += 1;
    const without = rows.map((row) => (row === order ? { ...row, envelope: null } : row));
    expect(findAbsences(without).unlawful.length).toBeGreaterThan(1);
  }
  expect(counted).toBeGreaterThan(0);
}
