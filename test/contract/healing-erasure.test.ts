/**
 * Healing and erasing at once, on real files and a real database: whatever comes first, nothing that was erased comes
 * back, and each absence has its order (K-12, K-14, ST-14).
 */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "../../src/audit/monitor/finding.ts";
import { type HealDeps, heal } from "../../src/audit/monitor/heal.ts";
import { createLawfulAbsence } from "../../src/audit/monitor/orders.ts";
import type { Page } from "../../src/audit/monitor/page.ts";
import { listSegments, lockRewriting } from "../../src/audit/spool/files.ts";
import { createSpoolReader } from "../../src/audit/spool/reader.ts";
import type { AuditStore } from "../../src/storage/store.ts";
import { until } from "../support/deadline.ts";
import { openErasingLog } from "../support/erasing-log.ts";
import { findAbsences, readRows, readSpool } from "../support/lawful-absence.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(60_000);

const target = { kind: "subject", tenant: "", principal: "client:ann" } as const;
const by = { by: "operator:ada", reason: "asked for it", validateOnly: false, target } as const;
/** Longer than a segment of the erasing log. */
const times = 30;

const edited = "update audit_records set status = 'hack' where event = 'call.outcome'";

/** A log of two people's calls, somebody's change to the rows, and what the monitor saw before anything was erased. */
async function openScene(dataDir: string, change?: string) {
  const own = await openErasingLog(dataDir, { mixHours: 0 });
  for (let time = 0; time < times; time += 1) {
    await Promise.all([own.call("client:ann"), own.call("client:bob")]);
  }
  await own.shipped();
  if (change !== undefined) runSql(dataDir, change);
  const spoolDir = join(dataDir, "spool");
  const { logId, syncedSeq } = own.log.status();
  const records = await createSpoolReader(spoolDir).read(0, syncedSeq, syncedSeq);
  const leaves = new Map(records.map(({ leaf }, index) => [index + 1, leaf]));
  const rows = new Map((await readRows(own.store, logId)).map((row) => [row.seq, row]));
  const page = {
    ...{ from: 1, to: syncedSeq, leaves, rows, doubled: new Set<number>() },
    records: new Map(records.map((record, index) => [index + 1, record])),
    ...{ headless: new Set<number>(), spoolFrom: 1, databaseTo: syncedSeq },
    mayBeGone: () => false,
  } as unknown as Page;
  const tree = {
    size: syncedSeq,
    root: new Uint8Array(32),
    leaves: (from: number, to: number) => [...leaves.values()].slice(from - 1, to),
  };
  const [key = ""] = await own.vault.keysOf(target);
  const seqs = [...rows.values()].filter((row) => row.details?.includes(key)).map(({ seq }) => seq);
  expect(seqs).toHaveLength(times);
  /** What the monitor would do about all of the person's records. */
  const mend = (place: Finding["place"], store: HealDeps["store"] = own.store.audit) => {
    const findings = seqs.map((seq): Finding => ({ place, kind: "edited", seq }));
    const absence = createLawfulAbsence(own.store.audit, logId);
    return heal({ logId, spoolDir, store, absence }, findings, page, tree);
  };
  return { own, spoolDir, key, seqs, mend, dataDir };
}

type Scene = Awaited<ReturnType<typeof openScene>>;

const destroyNow = ({ own }: Scene) => own.work.erasure.destroy({ ...by, isUrgent: true });

const keyInRows = async ({ own, key }: Scene) =>
  (await readRows(own.store, own.log.status().logId)).filter((row) => row.details?.includes(key));

const keyInSpool = ({ spoolDir, key }: Scene) =>
  readdirSync(spoolDir).filter((name) =>
    readFileSync(join(spoolDir, name)).includes(`"subject":"${key}"`),
  );

/** Nothing is left of the person, and nothing is missing without an order. */
async function expectErased(scene: Scene): Promise<void> {
  const { own, dataDir } = scene;
  await until("swept", () => own.work.erasure.pending() === 0);
  await own.shipped();
  expect(await keyInRows(scene)).toEqual([]);
  expect(keyInSpool(scene)).toEqual([]);
  const rows = findAbsences(await readRows(own.store, own.log.status().logId));
  const spool = findAbsences(readSpool(dataDir));
  expect([rows.unlawful, rows.lawful.length]).toEqual([[], times]);
  expect([spool.unlawful, spool.lawful.length]).toEqual([[], times]);
}

function runSql(dataDir: string, text: string): void {
  using database = new Database(join(dataDir, "gateway.sqlite"));
  database.run("pragma busy_timeout = 5000");
  database.run(text);
}

test("K-12 ST-06 rows that were changed before they were erased are put back without their sealed parts", async () => {
  await using folder = temporaryFolder("healing-erasure");
  const scene = await openScene(folder.path, edited);
  await using own = scene.own;
  await destroyNow(scene);
  await until("swept", () => own.work.erasure.pending() === 0);
  expect(await scene.mend("database")).toMatchObject([{ place: "database", count: times }]);
  using database = new Database(join(folder.path, "gateway.sqlite"));
  const query =
    "select count(*) as count from audit_records where status = 'hack' and seq in (SEQS)".replace(
      "SEQS",
      scene.seqs.join(),
    );
  expect(database.query(query).get()).toEqual({ count: 0 });
  await expectErased(scene);
});

test("K-12 a record whose key is destroyed and that is still to be swept is left to the sweep", async () => {
  await using folder = temporaryFolder("healing-erasure");
  const scene = await openScene(folder.path, edited);
  await using own = scene.own;
  await own.work.erasure.destroy({ ...by, isUrgent: false });
  await own.shipped();
  expect(await scene.mend("database")).toEqual([]);
  await own.work.erasure.run();
  expect(await scene.mend("database")).toMatchObject([{ count: times }]);
  await expectErased(scene);
});

/** The erasure comes as far as it can between what healing has read and what it writes. */
async function eraseRows(scene: Scene): Promise<void> {
  await destroyNow(scene);
  await until("the rows are empty", async () => (await keyInRows(scene)).length === 0);
}

test("K-12 ST-06 rows that healing writes while a sweep has passed them are swept all the same", async () => {
  await using folder = temporaryFolder("healing-erasure");
  const scene = await openScene(folder.path, edited);
  await using own = scene.own;
  const { audit } = own.store;
  const replace: AuditStore["replace"] = async (rows) => {
    await eraseRows(scene);
    await audit.replace(rows);
    expect(await keyInRows(scene)).toHaveLength(times);
  };
  expect(await scene.mend("database", { ...audit, replace })).toMatchObject([{ count: times }]);
  await expectErased(scene);
});

test("K-12 ST-14 a segment that healing writes while a sweep empties the rows is shredded all the same", async () => {
  await using folder = temporaryFolder("healing-erasure");
  const scene = await openScene(folder.path);
  await using own = scene.own;
  const [first] = listSegments(scene.spoolDir);
  const path = first?.path ?? "";
  const bytes = readFileSync(path);
  bytes.writeUInt8((bytes[1_000] ?? 0) ^ 1, 1_000);
  writeFileSync(path, bytes);
  const { audit } = own.store;
  let isErased = false;
  const scan: AuditStore["scan"] = async (query) => {
    const found = await audit.scan(query);
    if (!isErased) await eraseRows(scene);
    isErased = true;
    return found;
  };
  expect(await scene.mend("spool", { ...audit, scan })).toMatchObject([{ place: "spool" }]);
  expect(readdirSync(scene.spoolDir)).toContain(`${path.slice(scene.spoolDir.length + 1)}.kept`);
  await expectErased(scene);
});

test("K-12 ST-14 shredding and healing take turns", async () => {
  await using folder = temporaryFolder("healing-erasure");
  const scene = await openScene(folder.path);
  await using own = scene.own;
  const unlock = lockRewriting(scene.spoolDir);
  let isDone = false;
  const shredding = own.log.shred([scene.key]).then((frames) => {
    isDone = true;
    return frames;
  });
  // The spool's thread is at work all the same.
  for (let time = 0; time < 5; time += 1) await own.call("client:bob");
  expect([isDone, keyInSpool(scene).length > 0]).toEqual([false, true]);
  const refusal = await scene.mend("spool").catch((error: Error) => error.message);
  expect(refusal).toBe("segments are being written anew");
  unlock();
  expect(await shredding).toBe(times);
  expect(keyInSpool(scene)).toEqual([]);
});
