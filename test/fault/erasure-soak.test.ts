/**
 * PV-01, R-37: a person with a great many records is erased from the running executable while others call, PostgreSQL
 * goes away in the middle, and once more as the gateway is killed: the key is gone at once, what was begun is finished by
 * the next start, and the log is sound before, during and after. `ERASE_RECORDS=1000000` is the whole of it.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { countPending } from "../support/erasing.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { readMetric } from "../support/metrics.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { startPostgres } from "../support/postgres.ts";
import { recordsPerStranger, writeRecordsOfOne } from "../support/records-of-one.ts";
import { openFolderVault } from "../support/sealing.ts";
import { percentileOf, type SteadyCalls, startSteadyCalls } from "../support/steady-calls.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer } from "../support/tiny-server.ts";

const records = Number(process.env.ERASE_RECORDS ?? 3_000);
const callsPerSecond = 20;
const outageMs = Math.min(15_000, 2_000 + records / 50);
/** */
const keysGoneMs = 5 * 60_000;
const workTimeoutMs = 60_000 + records * 3;
const principal = "client:ann";

test(
  `PV-01 R-37 ${records} records of one person are erased under load, with PostgreSQL away and the gateway killed`,
  async () => {
    await using folder = temporaryFolder("erasure-soak");
    await using postgres = await startPostgres();
    await using tiny = startTinyServer();
    const dataDir = join(folder.path, "data");
    const databaseUrl = postgres.url;
    const urlFile = join(folder.path, "url");
    await Bun.write(urlFile, databaseUrl);
    await timed("written", () => writeRecordsOfOne({ dataDir, databaseUrl, principal, records }));
    const strangers = Math.ceil(records / recordsPerStranger);
    const before = await verifyBoth("before", dataDir, urlFile);
    expect(before).toMatchObject({ ok: true, verdicts: { ok: records + strangers } });

    const start = () =>
      startGateway({
        dataDir,
        env: { DATABASE_URL: databaseUrl },
        config: { audit: { spool_bytes_max: 64 * 1024 ** 3 }, database: { deadline_ms: 5_000 } },
        startTimeoutMs: 120_000,
      });
    const first = await timed("started", start);
    await using _first = first;
    using operator = createAdminClient({ ...first, deadlineMs: workTimeoutMs });
    await registerHttpServer(operator, "tiny", tiny.url);
    const token = await registerClient(operator, "loader", { allowed_tools: ["tiny__*"] });
    const load = startSteadyCalls(token, callsPerSecond);
    load.aim(first);
    await Bun.sleep(2_000);
    let counted = sayLatencies("before the erasure", load, 0);

    const askedMs = performance.now();
    const answer = await operator.call<{ keys: number; records: number }>(
      "KeyService",
      "DestroyKeys",
      { subject: { principal }, reason: "asked for it", sweep_now: true },
    );
    say("keys destroyed, ms after the order", performance.now() - askedMs);
    expect(performance.now() - askedMs).toBeLessThan(keysGoneMs);
    expect(answer.keys).toBe(1);
    expect(await keysLeft(dataDir)).toEqual([]);

    await until("a quarter swept", () => isSwept(first, 0.25), workTimeoutMs);
    say("a quarter swept, ms after the order", performance.now() - askedMs);
    counted = sayLatencies("as it was swept", load, counted);
    await postgres.stop();
    await Bun.sleep(outageMs);
    await postgres.restart();
    counted = sayLatencies("with the database away", load, counted);
    const online = await timed("verified during, by the gateway itself", () =>
      operator.call<Verified>("AuditService", "VerifyLog"),
    );
    expect(online).toMatchObject({ ok: true, logs: [{ problem: "" }] });
    counted = sayLatencies("as it was verified", load, counted);
    await until("a half swept", () => isSwept(first, 0.5), workTimeoutMs);
    say("a half swept, ms after the order", performance.now() - askedMs);
    say("peak memory of the first life, MiB", peakMebibytes(first.pid));
    counted = sayLatencies("as more was swept", load, counted);
    load.aim(undefined);
    await postgres.stop();
    first.kill("SIGKILL");
    await first.exited;
    await postgres.restart();
    expect(await verify("during, killed, spool", ["--data-dir", dataDir])).toMatchObject({
      ok: true,
    });
    const copy = await verify("during, killed, database", ["--database-url-file", urlFile]);
    // Its last checkpoint may be ahead of its last record: the rest is in the spool, until the next start copies it.
    expect(copy.ok || copy.violation?.kind).toBeOneOf([true, "cut"]);

    const killedMs = performance.now();
    await using second = await timed("started again", start);
    using admin = createAdminClient(second);
    load.aim(second);
    await until(
      "nothing left to sweep",
      async () => (await countPending(admin)) === 0,
      workTimeoutMs,
    );
    say("all swept, ms after the next start", performance.now() - killedMs);
    say("all swept, ms after the order", performance.now() - askedMs);
    say("peak memory of the second life, MiB", peakMebibytes(second.pid));
    sayLatencies("after the next start", load, counted);
    sayLatencies("in all", load, 0);
    await load.stop();

    expect(load.refused).toEqual([]);
    expect(await allRecords(admin, { client: "ann", event: "call.outcome" })).toEqual([]);
    await expectReceipt(admin);
    second.kill("SIGTERM");
    await second.exited;
    expect(await keysLeft(dataDir)).toEqual([]);
    const after = await verifyBoth("after", dataDir, urlFile);
    expect(after).toMatchObject({ ok: true, verdicts: { okShredded: records, okSealed: 0 } });
  },
  workTimeoutMs * 4,
);

/** The record of the destruction can be proven to a stranger. */
async function expectReceipt(admin: AdminClient): Promise<void> {
  const [told, ...more] = await allRecords(admin, { event: "keys.destroyed" });
  expect([told === undefined, more]).toEqual([false, []]);
  const { proof } = await until("a receipt", () =>
    admin
      .call<{ proof: string }>("AuditService", "GetProof", { seq: told?.seq })
      .catch(() => false),
  );
  expect(proof).toContain("c2sp.org/tlog-proof");
}

interface Verified {
  readonly ok: boolean;
  readonly verdicts: Readonly<Record<string, number>>;
  readonly violation?: { readonly kind: string };
}

/** Spool and database say the same of what was written before the gateway. */
async function verifyBoth(when: string, dataDir: string, urlFile: string): Promise<Verified> {
  const spool = await verify(`${when}, spool`, ["--data-dir", dataDir]);
  const copy = await verify(`${when}, database`, ["--database-url-file", urlFile]);
  return { ok: spool.ok && copy.ok, verdicts: spool.verdicts };
}

async function verify(when: string, args: readonly string[]): Promise<Verified> {
  const timeoutMs = workTimeoutMs;
  const { stdout, stderr } = await timed(`verified ${when}`, () =>
    runGateway(["audit", "verify", ...args, "--json"], { timeoutMs }),
  );
  const report = JSON.parse(stdout === "" ? "{}" : stdout);
  if (report.ok !== true) console.error(when, stderr, stdout.slice(0, 2_000));
  return report;
}

async function keysLeft(dataDir: string): Promise<readonly string[]> {
  const vault = await openFolderVault(dataDir);
  const left = await vault.keysOf({ tenant: "", principal });
  await vault.close();
  return left;
}

async function isSwept({ ops }: GatewayProcess, share: number): Promise<boolean> {
  return (await readMetric(ops, "mcp_gateway_erasure_records_total")) >= records * share;
}

function peakMebibytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024;
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work();
  say(`${what}, ms`, performance.now() - startMs);
  return result;
}

/** Returns how many there were, to go on from. */
function sayLatencies(when: string, { latenciesMs }: SteadyCalls, from: number): number {
  const own = latenciesMs.slice(from);
  const [p50, p99, most] = [0.5, 0.99, 1].map((share) => percentileOf(own, share).toFixed(1));
  console.log(`${own.length} calls ${when}: p50 ${p50} ms, p99 ${p99} ms, most ${most} ms`);
  return latenciesMs.length;
}

function say(what: string, figure: number): void {
  console.log(`${what}: ${Math.round(figure)}`);
}
