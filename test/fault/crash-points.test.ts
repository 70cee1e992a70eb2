/**
 * kill -9 at every numbered crash point: before and after each of the spool's first calls to the disk, in recovery, in
 * appends, in syncs and in segment rolls. One folder lives through all of a lane's crashes; afterwards the three logs
 * are compared: what callers were told, what the server saw, what the audit holds.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnvelope } from "../../src/audit/envelope.ts";
import { openAuditLog } from "../../src/audit/log.ts";
import { listSegments } from "../../src/audit/spool/files.ts";
import { scanSegment } from "../../src/audit/spool/scan.ts";
import { verifySpool } from "../../src/audit/verify/verify.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createMemoryAuditStore } from "../support/memory-audit-store.ts";
import { faultCycles } from "../support/random.ts";
import { openMemoryVault } from "../support/sealing.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** After this many calls every kind of call has come several times; more cycles begin again at the first. */
const callsMax = 90;
/** One kills before the calls, the other after them. */
const lanes = 2;
const points = faultCycles(callsMax * lanes);
const child = join(import.meta.dir, "../support/crashing-child.ts");

interface Lane {
  readonly answered: string[];
  readonly serverLog: string;
  readonly dataDir: string;
  crashes: number;
}

async function crashAgainAndAgain(lane: Lane, number: number): Promise<void> {
  const when = number === 0 ? "before" : "after";
  for (let point = 0; point < points / lanes; point += 1) {
    const crashAt = String(1 + (point % callsMax));
    const process_ = Bun.spawn(
      [process.execPath, child, lane.dataDir, lane.serverLog, `${when}-${point}`],
      {
        env: { ...process.env, CRASH_AT: crashAt, CRASH_WHEN: when },
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const [told, said] = await Promise.all([
      new Response(process_.stdout).text(),
      new Response(process_.stderr).text(),
    ]);
    await process_.exited;
    if (process_.signalCode === "SIGKILL") lane.crashes += 1;
    else throw new Error(`crash point ${crashAt} ${when} was not reached: ${said}`);
    lane.answered.push(...told.split("\n").slice(0, -1));
  }
}

async function closeInPeace(dataDir: string): Promise<void> {
  const log = await openAuditLog({
    dataDir,
    keys: await openMemoryVault(),
    store: { audit: createMemoryAuditStore() },
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    options: { deadlineMs: 20_000 },
  });
  await log.flush();
  await log.close();
}

/** The records in the files: a segment's content ends where its successor begins. */
function recordsOf(dataDir: string) {
  const segments = listSegments(join(dataDir, "spool"));
  return segments.flatMap(({ path }, index) => {
    const next = segments[index + 1]?.firstSeq ?? Number.POSITIVE_INFINITY;
    return scanSegment(readFileSync(path)).records.flatMap((record) => {
      const envelope = parseEnvelope(record.envelope);
      return envelope === undefined || envelope.seq >= next ? [] : [envelope];
    });
  });
}

function expectSound({ answered, serverLog, dataDir }: Lane): void {
  const records = recordsOf(dataDir);
  const intents = records.filter((one) => one.event === "call.intent");
  const outcomes = records.filter((one) => one.event === "call.outcome");
  const intended = new Set(intents.map((one) => one.facts.tool));
  const succeeded = new Set(
    outcomes.filter((one) => one.facts.status === "success").map((one) => one.facts.tool),
  );
  const closings = outcomes.map((one) => Number(one.facts.intent));
  const closed = new Set(closings);
  const seen = readFileSync(serverLog, "utf8").split("\n").slice(0, -1);
  expect({
    answeredWithoutOutcome: answered.filter((call) => !succeeded.has(call)),
    seenWithoutIntent: seen.filter((call) => !intended.has(call)),
    neverClosed: intents.map((one) => one.seq).filter((seq) => !closed.has(seq)),
    closedTwice: closings.length - closed.size,
    breaks: records.filter((one, index) => one.seq !== index + 1).map((one) => one.seq),
    verified: verifySpool(join(dataDir, "spool")).violation,
    alarms: records.filter((one) => one.event === "integrity.violation").length,
  }).toEqual({
    answeredWithoutOutcome: [],
    seenWithoutIntent: [],
    neverClosed: [],
    closedTwice: 0,
    breaks: [],
    verified: undefined,
    alarms: 0,
  });
  expect(answered.length).toBeGreaterThan(points / lanes);
  expect(outcomes.some((one) => one.facts.status === "outcome_unknown")).toBe(true);
}

test("R-01 ST-11 ST-12 I-02 I-03: a kill at any crash point loses no answered call", async () => {
  const running = Array.from({ length: lanes }, async (_, number) => {
    const folder = temporaryFolder(`crash-points-${number}`);
    const serverLog = join(folder.path, "server.log");
    const lane = { answered: [], serverLog, dataDir: join(folder.path, "data"), crashes: 0 };
    await crashAgainAndAgain(lane, number);
    await closeInPeace(lane.dataDir);
    return { lane, folder };
  });
  for (const { lane, folder } of await Promise.all(running)) {
    console.log(JSON.stringify({ crashes: lane.crashes, answered: lane.answered.length }));
    expectSound(lane);
    await folder[Symbol.asyncDispose]();
  }
}, 7_200_000);
