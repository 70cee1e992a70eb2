/**
 * Erasing on real files and databases: what can be read before and after, what is left, and that the log shows each
 * absence to be lawful.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { until } from "../support/deadline.ts";
import { type ErasingLog, openErasingLog } from "../support/erasing-log.ts";
import { findAbsences, readRows, readSpool } from "../support/lawful-absence.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(60_000);

const by = { by: "operator:ada", reason: "asked for it", validateOnly: false } as const;
const ann = { kind: "subject", tenant: "", principal: "client:ann" } as const;

/** One call of each of these, in turn, so many times. */
async function calls(own: ErasingLog, times: number, ...principals: readonly string[]) {
  for (let time = 0; time < times; time += 1) {
    await Promise.all(principals.map((principal) => own.call(principal)));
  }
}

async function absences(own: ErasingLog, dataDir: string) {
  const rows = findAbsences(await readRows(own.store, own.log.status().logId));
  const spool = findAbsences(readSpool(dataDir));
  return { rows, spool };
}

const swept = (own: ErasingLog) => until("swept", () => own.work.erasure.pending() === 0);

test("PV-01 K-12 a subject is erased: nobody reads or finds the records, and each absence has its order", async () => {
  await using folder = temporaryFolder("erasure");
  await using own = await openErasingLog(folder.path);
  await calls(own, 40, "client:ann", "client:bob");
  await own.shipped();
  expect(await own.found("client:ann")).toHaveLength(40);
  const dry = await own.work.erasure.destroy({
    ...by,
    target: ann,
    isUrgent: true,
    validateOnly: true,
  });
  expect(dry).toEqual({ keys: 1, records: 40, sweepDueAtMs: undefined });
  expect((await own.readable()).size).toBe(80);
  const done = await own.work.erasure.destroy({ ...by, target: ann, isUrgent: true });
  expect(done).toMatchObject({ keys: 1, records: 40 });
  // From now on, whatever else is still to be done.
  expect(new Set((await own.readable()).values())).toEqual(new Set(["client:bob"]));
  await swept(own);
  await own.shipped();
  expect(await own.found("client:ann")).toEqual([]);
  expect(await own.found("client:bob")).toHaveLength(40);
  const { rows, spool } = await absences(own, folder.path);
  expect([rows.broken, rows.unlawful, rows.lawful.length]).toEqual([[], [], 40]);
  expect([spool.broken, spool.unlawful, spool.lawful.length]).toEqual([[], [], 40]);
  // Again: nothing is left to do, and nothing is done.
  expect(await own.work.erasure.destroy({ ...by, target: ann, isUrgent: true })).toEqual({
    ...{ keys: 0, records: 0, sweepDueAtMs: undefined },
  });
});

test("a subject that goes on calling gets a new key, and loses no record made after it", async () => {
  await using folder = temporaryFolder("erasure");
  await using own = await openErasingLog(folder.path);
  await calls(own, 10, "client:ann");
  let isDone = false;
  const after: number[] = [];
  const calling = (async () => {
    while (!isDone) await Promise.all(Array.from({ length: 8 }, () => own.call("client:ann")));
    for (let time = 0; time < 5; time += 1) after.push(await own.call("client:ann"));
  })();
  for (let time = 0; time < 3; time += 1) {
    await own.work.erasure.destroy({ ...by, target: ann, isUrgent: true });
    await swept(own);
  }
  isDone = true;
  await calling;
  await own.shipped();
  const readable = await own.readable();
  expect(after.filter((seq) => !readable.has(seq))).toEqual([]);
  expect(await own.found("client:ann")).toEqual([...readable.keys()]);
  const { rows, spool } = await absences(own, folder.path);
  expect([rows.broken, rows.unlawful, spool.broken, spool.unlawful]).toEqual([[], [], [], []]);
  expect(rows.lawful.length).toBeGreaterThanOrEqual(10);
});

test("K-15 a class's month goes for every subject, other months and classes stay", async () => {
  await using folder = temporaryFolder("erasure");
  await using own = await openErasingLog(folder.path);
  const january = Date.UTC(2026, 0, 31, 23, 59, 59, 999);
  const kept: number[] = [];
  for (const principal of ["client:ann", "client:bob"]) {
    await own.call(principal, { timeMs: january, dataClass: "SECRET" });
    kept.push(await own.call(principal, { timeMs: january + 1, dataClass: "SECRET" }));
    kept.push(await own.call(principal, { timeMs: january }));
  }
  await own.shipped();
  const target = { kind: "class", tenant: "", dataClass: "SECRET", month: "2026-01" } as const;
  const done = await own.work.erasure.destroy({ ...by, target, isUrgent: false });
  expect(done).toMatchObject({ keys: 1, records: 2 });
  await swept(own);
  expect([...(await own.readable()).keys()]).toEqual(kept);
  const { rows, spool } = await absences(own, folder.path);
  expect([rows.unlawful, rows.lawful.length]).toEqual([[], 2]);
  expect([spool.unlawful, spool.lawful.length]).toEqual([[], 2]);
});

test("PV-14 subjects are swept together, and an order is no list of one person's records", async () => {
  await using folder = temporaryFolder("erasure");
  await using own = await openErasingLog(folder.path, { mixSubjects: 3 });
  const names = ["client:ann", "client:bob", "client:cat"];
  await calls(own, 12, ...names, "client:dan");
  await own.shipped();
  for (const principal of names.slice(0, 2)) {
    const target = { ...ann, principal };
    const { sweepDueAtMs } = await own.work.erasure.destroy({ ...by, target, isUrgent: false });
    expect(sweepDueAtMs).toBeGreaterThan(Date.now() + 23 * 3_600_000);
  }
  await own.work.erasure.run();
  // Unreadable, but still there.
  expect([(await own.readable()).size, own.work.erasure.pending()]).toEqual([24, 2]);
  expect((await absences(own, folder.path)).rows.lawful).toEqual([]);
  await own.work.erasure.destroy({
    ...by,
    target: { ...ann, principal: "client:cat" },
    isUrgent: false,
  });
  await own.work.erasure.run();
  await own.shipped();
  const rows = await readRows(own.store, own.log.status().logId);
  const orders = rows.filter((row) => row.envelope?.includes('"event":"erasure.executed"'));
  expect(orders).toHaveLength(1);
  const { lawful } = findAbsences(rows);
  expect(lawful).toHaveLength(36);
  expect(findSharedMarks(rows.filter((row) => lawful.includes(row.seq)))).toEqual([]);
  expect(new Set((await own.readable()).values())).toEqual(new Set(["client:dan"]));
});

test("PV-01 what waits to be swept is pending from the first moment after a start", async () => {
  await using folder = temporaryFolder("erasure");
  {
    await using own = await openErasingLog(folder.path);
    await calls(own, 3, "client:ann");
    await own.work.erasure.destroy({ ...by, target: ann, isUrgent: false });
    expect(own.work.erasure.pending()).toBe(1);
  }
  await using own = await openErasingLog(folder.path);
  expect(own.work.erasure.pending()).toBe(1);
});

test("K-16 yesterday's database beside today's vault: erased stays erased, and is swept again", async () => {
  await using folder = temporaryFolder("erasure");
  const database = join(folder.path, "gateway.sqlite");
  const yesterday = join(folder.path, "yesterday.sqlite");
  {
    await using own = await openErasingLog(folder.path);
    await calls(own, 10, "client:ann", "client:bob");
    await own.shipped();
  }
  copyFileSync(database, yesterday);
  {
    await using own = await openErasingLog(folder.path);
    await own.work.erasure.destroy({ ...by, target: ann, isUrgent: true });
    await swept(own);
    await own.shipped();
  }
  for (const side of ["-wal", "-shm"]) rmSync(database + side, { force: true });
  copyFileSync(yesterday, database);
  await using own = await openErasingLog(folder.path);
  expect(new Set((await own.readable()).values())).toEqual(new Set(["client:bob"]));
  expect(await own.found("client:ann")).toHaveLength(10);
  await own.shipped();
  await own.work.erasure.run();
  expect(await own.found("client:ann")).toEqual([]);
  expect((await absences(own, folder.path)).rows.unlawful).toEqual([]);
});

test("K-16 yesterday's vault: the key that came back is reported, and destroyed again", async () => {
  await using folder = temporaryFolder("erasure");
  const vault = join(folder.path, "vault.sqlite");
  const yesterday = join(folder.path, "yesterday.sqlite");
  {
    await using own = await openErasingLog(folder.path);
    await calls(own, 10, "client:ann");
    await own.shipped();
  }
  copyFileSync(vault, yesterday);
  {
    await using own = await openErasingLog(folder.path);
    // Not swept yet, so with its key everything could be read again.
    await own.work.erasure.destroy({ ...by, target: ann, isUrgent: false });
    await own.shipped();
    expect((await own.readable()).size).toBe(0);
  }
  for (const side of ["-wal", "-shm"]) rmSync(vault + side, { force: true });
  copyFileSync(yesterday, vault);
  await using own = await openErasingLog(folder.path);
  await own.work.erasure.run();
  await own.shipped();
  expect((await own.readable()).size).toBe(0);
  const rows = await readRows(own.store, own.log.status().logId);
  const flags = rows.filter((row) => row.envelope?.includes("destroyed-key-returned"));
  expect(flags).toHaveLength(1);
  expect(flags[0]?.envelope).toContain("erasure-not-completed");
  expect(findAbsences(rows).unlawful).toEqual([]);
  expect(findAbsences(rows).lawful).toHaveLength(10);
});

/** What stands in some envelopes and not in all of them, and so could tell that these belong together. */
function findSharedMarks(rows: readonly { readonly envelope: string | null }[]): readonly string[] {
  const seen = new Map<string, number>();
  for (const { envelope } of rows) {
    const { time, seq, ...rest } = JSON.parse(envelope ?? "{}");
    const marks = new Set(JSON.stringify(rest).match(/[\w+/=-]{4,}/g));
    for (const mark of marks) seen.set(mark, (seen.get(mark) ?? 0) + 1);
  }
  return [...seen].filter(([, count]) => count > 1 && count < rows.length).map(([mark]) => mark);
}

test("K-12 however many sweeps wait for a node that is away, the next one has its turn", async () => {
  await using folder = temporaryFolder("erasure");
  await using own = await openErasingLog(folder.path);
  const { sweeps } = own.vault.store;
  const orderedAtMs = Date.now();
  // A whole page of them, whose keys come before every other.
  const waiting = Array.from({ length: 1_000 }, (_, at) => ({
    ...({ key: String(at).padStart(16, "0"), purpose: "subject", tenant: "", label: "" } as const),
    ...{ principals: [], fromMs: null, untilMs: null, orderedAtMs },
    ...{ isUrgent: false, isRecorded: true },
  }));
  await sweeps.put(waiting);
  await sweeps.noteAlive("log-away", orderedAtMs, { liveSinceMs: 0, knownSinceMs: 0 });
  const keys = waiting.map(({ key }) => key);
  expect(await sweeps.swept(keys, own.log.status().logId)).toEqual([]);
  await calls(own, 3, "client:ann");
  await own.shipped();
  await own.work.erasure.destroy({ ...by, target: ann, isUrgent: true });
  await until("swept", async () => (await own.found("client:ann")).length === 0);
  expect(await sweeps.swept(keys, "log-away")).toEqual(keys);
  await own.work.erasure.run();
  await sweeps.swept(
    (await sweeps.list(2, "")).map(({ key }) => key),
    "log-away",
  );
  await own.work.erasure.run();
  expect(own.work.erasure.pending()).toBe(0);
});
