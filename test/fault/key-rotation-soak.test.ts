/**
 * R-38, K-18: keys of the running executable are rotated once a second while clients call and records of earlier epochs
 * are read, and one client is erased again and again: nothing fails, whatever is not erased stays readable and found, and
 * what is erased is read by nobody a second later. `ROTATION_SECONDS=600` is the whole of it.
 */
import { expect, test } from "bun:test";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createOpener } from "../../src/audit/opener.ts";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { auditRow } from "../support/audit-row.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import {
  allRecords,
  type RecordView,
  registerClient,
  registerHttpServer,
} from "../support/operator.ts";
import { createRandom } from "../support/random.ts";
import { openFolderVault } from "../support/sealing.ts";
import { percentileOf, type SteadyCalls, startSteadyCalls } from "../support/steady-calls.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { untilDrained } from "../support/three-logs.ts";
import { startTinyServer } from "../support/tiny-server.ts";

const seconds = Number(process.env.ROTATION_SECONDS ?? 10);
const callsPerSecond = 10;
const keepers = ["ann", "bob", "cai"];
const erased = "eve";
/** from the answer, until a read that is asked for finds none of it. */
const unreadableMs = 1_000;
const erasureEveryMs = 4_000;
const readEveryMs = 50;
const readRecords = 100;

test(
  `R-38 K-18 keys rotate once a second for ${seconds} s under load, and what is erased is unreadable within 1 s`,
  async () => {
    await using folder = temporaryFolder("rotation-soak");
    await using tiny = startTinyServer();
    const dataDir = join(folder.path, "data");
    // Keys are retired while it runs, where it runs long enough.
    await using gateway = await startGateway({
      dataDir,
      config: { erasure: { key_retire_minutes: 1 } },
    });
    using admin = createAdminClient({ ...gateway, deadlineMs: 60_000 });
    await registerHttpServer(admin, "tiny", tiny.url);
    const loads = new Map<string, SteadyCalls>();
    for (const client of [...keepers, erased]) {
      const access = { allowed_tools: ["tiny__*"] };
      const load = startSteadyCalls(await registerClient(admin, client, access), callsPerSecond);
      load.aim(gateway);
      loads.set(client, load);
    }
    say("memory at the start, MiB", memoryMebibytes(gateway.pid));

    let isDone = false;
    const rotating = rotateEachSecond(admin).finally(() => {
      isDone = true;
    });
    const reading = readAgainAndAgain(admin, () => isDone);
    const erasing = eraseAgainAndAgain(admin, () => isDone);
    const [epoch, reads, erasures] = await Promise.all([rotating, reading, erasing]);
    const last = await eraseAndMeasure(admin);
    await Bun.sleep(unreadableMs - (performance.now() - last.answeredAtMs));
    const copy = copyFolder(gateway, join(folder.path, "copy"));
    say("memory at the end, MiB", memoryMebibytes(gateway.pid));
    await untilAllUnder(admin, epoch);
    const latenciesMs: number[] = [];
    for (const load of loads.values()) {
      await load.stop();
      expect(load.refused).toEqual([]);
      latenciesMs.push(...load.latenciesMs);
    }
    sayTimes(`${latenciesMs.length} calls`, latenciesMs);
    say("records read of earlier epochs", reads);
    const lateMs = [...erasures, last].map((one) => one.unreadableAfterMs);
    sayTimes(`${lateMs.length} erasures until unreadable`, lateMs);
    expect(Math.max(...lateMs)).toBeLessThanOrEqual(unreadableMs);
    await untilDrained(admin);
    for (const client of keepers) {
      const found = await allRecords(admin, { client, event: "call.outcome" });
      // By the tokens of every index key there was.
      expect(found).toHaveLength(loads.get(client)?.latenciesMs.length ?? 0);
      expect(found.filter((record) => !isOpenOf(record, client))).toEqual([]);
    }
    const gone = new Set([...erasures, last].flatMap((one) => one.records.map(({ seq }) => seq)));
    const outcomes = await allRecords(admin, { event: "call.outcome" });
    expect(outcomes.filter(({ seq }) => gone.has(seq)).filter(isReadable)).toEqual([]);
    await expectUnopened(copy, last.records, await allRecords(admin, { client: "ann" }));

    gateway.kill("SIGTERM");
    await gateway.exited;
    const verified = await runGateway(["audit", "verify", "--data-dir", dataDir]);
    expect(verified.exitCode, verified.stdout).toBe(0);
  },
  120_000 + seconds * 3_000,
);

/** Both purposes at each full second, or as soon as those of the second before are answered. Returns the last epoch. */
async function rotateEachSecond(admin: AdminClient): Promise<number> {
  const startMs = performance.now();
  const tookMs: number[] = [];
  for (let second = 1; second <= seconds; second += 1) {
    await Bun.sleep(Math.max(0, startMs + second * 1_000 - performance.now()));
    for (const purpose of ["KEY_PURPOSE_INDEX", "KEY_PURPOSE_KEK"]) {
      const askedMs = performance.now();
      const made = await admin.call<{ epoch: number }>("KeyService", "RotateKeys", { purpose });
      tookMs.push(performance.now() - askedMs);
      expect(made.epoch).toBe(second + 1);
    }
  }
  sayTimes(`${tookMs.length} rotations`, tookMs);
  say("seconds they took", (performance.now() - startMs) / 1_000);
  return seconds + 1;
}

/** From any time there was, and from the very first record; returns how many records were read. */
async function readAgainAndAgain(admin: AdminClient, isDone: () => boolean): Promise<number> {
  const random = createRandom();
  const [first] = await allRecords(admin, {});
  const fromMs = first?.time_ms ?? 0;
  let read = 0;
  for (let round = 0; !isDone(); round += 1) {
    const client = keepers[round % keepers.length] ?? "";
    const passedMs = performance.timeOrigin + performance.now() - fromMs;
    const from_ms = round % 10 === 0 ? fromMs : fromMs + random(Math.ceil(passedMs));
    const { records } = await admin.call<{ records: RecordView[] }>(
      "AuditService",
      "QueryRecords",
      {
        filter: { client, from_ms },
        order: "RECORD_ORDER_OLDEST_FIRST",
        page_size: readRecords,
      },
    );
    expect(records.filter((record) => !isOpenOf(record, client))).toEqual([]);
    read += records.length;
    await Bun.sleep(readEveryMs);
  }
  return read;
}

interface Erased {
  /** Those that were readable before. */
  readonly records: readonly RecordView[];
  readonly answeredAtMs: number;
  /** From the answer to when the first read was asked for that found all of them, and nothing to read in any. */
  readonly unreadableAfterMs: number;
}

async function eraseAgainAndAgain(
  admin: AdminClient,
  isDone: () => boolean,
): Promise<readonly Erased[]> {
  const erasures: Erased[] = [];
  for (let nextMs = performance.now() + erasureEveryMs; !isDone(); await Bun.sleep(readEveryMs)) {
    if (performance.now() < nextMs) continue;
    nextMs += erasureEveryMs;
    erasures.push(await eraseAndMeasure(admin));
  }
  return erasures;
}

async function eraseAndMeasure(admin: AdminClient): Promise<Erased> {
  const records = await until("records to erase", async () => {
    const found = await allRecords(admin, { client: erased, event: "call.outcome" });
    // What was erased before may still be found, until it is swept.
    const open = found.filter((record) => isOpenOf(record, erased));
    return open.length > 0 && open;
  });
  const done = await admin.call<{ keys: number }>("KeyService", "DestroyKeys", {
    subject: { principal: `client:${erased}` },
    reason: "asked for it",
    sweep_now: true,
  });
  const answeredAtMs = performance.now();
  expect(done.keys).toBe(1);
  const seqs = new Set(records.map(({ seq }) => seq));
  const [from_ms = 0] = records.map(({ time_ms }) => time_ms);
  const until_ms = (records.at(-1)?.time_ms ?? 0) + 1;
  const askedAtMs = await until("nothing readable", async () => {
    const askedMs = performance.now();
    const all = await allRecords(admin, { event: "call.outcome", from_ms, until_ms });
    const still = all.filter(({ seq }) => seqs.has(seq));
    expect(still).toHaveLength(seqs.size);
    return !still.some(isReadable) && askedMs;
  });
  return { records, answeredAtMs, unreadableAfterMs: askedAtMs - answeredAtMs };
}

function isOpenOf(record: RecordView, client: string): boolean {
  const { seal_state, principal, details_json } = record;
  return (
    seal_state === "SEAL_STATE_OPEN" && principal === `client:${client}` && details_json !== ""
  );
}

function isReadable({ principal, client, session, details_json }: RecordView): boolean {
  return [principal, client, session, details_json].some((value) => value !== "");
}

/** What was wrapped once lies under the newest KEK: wrapping anew kept up with rotating. */
async function untilAllUnder(admin: AdminClient, epoch: number): Promise<void> {
  await until("all wrapped anew", async () => {
    const { groups } = await admin.call<{
      groups: { purpose: string; state: string; epoch: number }[];
    }>("KeyService", "ListKeys");
    return groups
      .filter((group) => group.purpose !== "KEY_PURPOSE_KEK")
      .filter((group) => group.state !== "KEY_STATE_DESTROYED")
      .every((group) => group.epoch === epoch);
  });
}

/** As a thief would take it, who has the whole disk at one moment. */
function copyFolder(gateway: GatewayProcess, path: string): string {
  gateway.kill("SIGSTOP");
  cpSync(gateway.dataDir, path, { recursive: true });
  gateway.kill("SIGCONT");
  return path;
}

/** Sealed parts kept from before the erasure, with the keys of a folder copied after it. */
async function expectUnopened(
  copy: string,
  gone: readonly RecordView[],
  others: readonly RecordView[],
): Promise<void> {
  const vault = await openFolderVault(copy);
  const rowsOf = (records: readonly RecordView[]) =>
    records.map((one) =>
      auditRow(one.seq, {
        logId: one.log_id,
        ...{ envelope: one.envelope_json, details: one.sealed_json },
      }),
    );
  const opener = createOpener(vault);
  const statesOf = async (records: readonly RecordView[]) =>
    new Set((await opener.open(rowsOf(records))).map(({ state }) => state));
  const states = [await statesOf(gone), await statesOf(others)];
  await vault.close();
  expect(states).toEqual([new Set(["shredded"]), new Set(["open"])]);
}

function memoryMebibytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024;
}

function sayTimes(what: string, timesMs: readonly number[]): void {
  const figures = [0.5, 0.99, 1].map((share) => percentileOf(timesMs, share).toFixed(1));
  console.log(`${what}: p50 ${figures[0]} ms, p99 ${figures[1]} ms, most ${figures[2]} ms`);
}

function say(what: string, figure: number): void {
  console.log(`${what}: ${Math.round(figure)}`);
}
