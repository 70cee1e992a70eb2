/** Verification of a spool and of the database's copy: each way to tamper with them is found and named. */
import { describe, expect, test } from "bun:test";
import { parseVerifierKey } from "../../../../src/audit/evidence/keys.ts";
import { toAuditRow } from "../../../../src/audit/row.ts";
import { listLogs, verifySpool, verifyStore } from "../../../../src/audit/verify/verify.ts";
import { type Artefact, toArtefact, writeSpool } from "../../../support/audit-forge/artefact.ts";
import { createSeededRandom } from "../../../support/audit-forge/random.ts";
import { forgeStory } from "../../../support/audit-forge/story.ts";
import { tamper } from "../../../support/audit-forge/tamper.ts";
import { createMemoryAuditStore } from "../../../support/memory-audit-store.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

/** The database's copy of an artefact; places are counted anew where records were put between others. */
function toStore({ log, records }: Artefact) {
  const store = createMemoryAuditStore();
  let place = 0;
  for (const { envelope, sealed, leaf, seq } of records) {
    const view = envelope === null ? undefined : JSON.parse(envelope);
    place = Math.max(place + 1, Math.min(view?.seq ?? seq, seq));
    const row = toAuditRow({
      envelope: envelope ?? emptyEnvelope(log, place),
      details: sealed ?? "",
      leaf,
    });
    if (row === undefined) throw new Error("a record of the story cannot be read");
    const parts = { envelope, details: sealed, leaf };
    store.rows.push({ ...row, ...parts, logId: log, seq: place });
  }
  return store;
}

const emptyEnvelope = (log: string, seq: number) =>
  JSON.stringify({
    v: 2,
    log,
    seq,
    prev: "",
    time: 0,
    event: "",
    class: "A",
    facts: {},
    commitment: "",
  });

const story = (seed: number, isPruned: boolean) => forgeStory(createSeededRandom(seed), isPruned);
const keysOf = ({ keys }: Artefact) => keys.map(parseVerifierKey);

describe("a spool", () => {
  test("K-14 a whole one is sound, each record has its verdict and all are under the checkpoint", async () => {
    await using folder = temporaryFolder("verify");
    const log = story(1, false);
    const artefact = toArtefact(log);
    writeSpool(artefact, folder.path);
    const report = verifySpool(`${folder.path}/spool`, { keys: keysOf(artefact) });
    const count = log.records.length;
    expect(report).toMatchObject({ ok: true, records: count, covered: count, firstSeq: 1 });
    expect(report.verdicts).toMatchObject({ okShredded: 5, okPruned: 0 });
    expect(report.lastLeaf).toBe(log.records.at(-1)?.leaf ?? "");
  });

  test("one whose oldest segments were shipped and removed is sound by its tiles and certificates", async () => {
    await using folder = temporaryFolder("verify");
    const artefact = toArtefact(story(2, false));
    const all = artefact.records.length;
    artefact.records = artefact.records.filter(({ segment }) => segment >= 2);
    const heads = artefact.heads;
    artefact.heads = heads.filter((_, index) => index >= 2);
    artefact.records = artefact.records.map((one) => ({ ...one, segment: one.segment - 2 }));
    writeSpool(artefact, folder.path);
    const report = verifySpool(`${folder.path}/spool`, { keys: keysOf(artefact) });
    expect(report).toMatchObject({ ok: true, firstSeq: 81, records: all - 80, covered: all });
  });

  test("a folder without a segment is an empty log", async () => {
    await using folder = temporaryFolder("verify");
    expect(verifySpool(folder.path)).toMatchObject({ ok: true, records: 0, lastSeq: 0 });
  });

  test("with a key and no checkpoint a log is not believed", async () => {
    await using folder = temporaryFolder("verify");
    const artefact = toArtefact(story(3, false), []);
    artefact.tiles.clear();
    writeSpool(artefact, folder.path);
    const dir = `${folder.path}/spool`;
    expect(verifySpool(dir)).toMatchObject({ ok: true, covered: 0 });
    const report = verifySpool(dir, { keys: keysOf(artefact) });
    expect(report.violation as unknown).toMatchObject({ kind: "checkpoint" });
  });
});

describe("the database's copy", () => {
  const verify = (artefact: Artefact) =>
    verifyStore(toStore(artefact), artefact.log, {
      keys: keysOf(artefact),
      checkpoints: artefact.checkpoints,
      certificates: artefact.certificates,
    });

  test("a whole one is sound, pruned and erased records are lawful", async () => {
    const artefact = toArtefact(story(11, true));
    const report = await verify(artefact);
    expect(report).toMatchObject({ ok: true, pruned: 4, covered: artefact.records.length });
    expect(report.verdicts).toMatchObject({ okShredded: 5, okPruned: 4 });
  });

  const kinds = [
    "edit",
    "delete",
    "fork",
    "foreign-key",
    "key-history",
    "removed-tombstone",
  ] as const;
  for (const kind of kinds) {
    test(`R-11 ST-06 ${kind} is found in it and named`, async () => {
      for (let seed = 0; seed < 8; seed += 1) {
        const log = story(20 + (seed % 3), true);
        const { artefact, how } = tamper(kind, createSeededRandom(seed), log, true);
        const { violation } = await verify(artefact);
        expect([seed, how, violation?.kind]).toEqual([seed, how, kind]);
      }
    });
  }

  test("ST-06 rows that changed places are a swap", async () => {
    const artefact = toArtefact(story(12, true));
    const store = toStore(artefact);
    const [one, two] = [store.rows[19], store.rows[23]];
    if (one === undefined || two === undefined) throw new Error("the story is too short");
    store.rows[19] = { ...two, seq: one.seq };
    store.rows[23] = { ...one, seq: two.seq };
    const report = await verifyStore(store, artefact.log);
    expect(report.violation as unknown).toMatchObject({ kind: "swap", seq: 20 });
  });

  test("ST-06 a search column that does not say what the record says is found", async () => {
    const artefact = toArtefact(story(13, true));
    const store = toStore(artefact);
    const row = store.rows[20];
    if (row === undefined) throw new Error("the story is too short");
    store.rows[20] = { ...row, status: "of somebody else" };
    const report = await verifyStore(store, artefact.log);
    expect(report.violation as unknown).toMatchObject({ kind: "edit", seq: 21 });
    expect(report.violation?.message).toContain("status");
  });

  test("a deletion ordered in another log is lawful, for any node may run retention", async () => {
    const other = forgeStory(createSeededRandom(31), false);
    const own = toArtefact(story(14, true));
    const isOrder = ({ envelope }: { envelope: string | null }) =>
      /"(deleted|erased)Log"/.test(envelope ?? "");
    const first = own.records.findIndex((one) => one.envelope?.includes("deletedLog"));
    // The orders stand in the other log instead; the own one is believed up to where the first of them was.
    for (const { envelope } of own.records.slice(first).filter(isOrder)) {
      const { event, facts } = JSON.parse(envelope ?? "{}");
      other.append(event, facts);
    }
    own.records = own.records.slice(0, first);
    const store = toStore(own);
    expect(await verifyStore(store, own.log)).toMatchObject({ ok: false });
    store.rows.push(...toStore(toArtefact(other)).rows);
    expect(await verifyStore(store, own.log)).toMatchObject({ ok: true, pruned: 4 });
    // As far as the other log's checkpoint goes, where that is at hand.
    const sizes = [other.records.length, other.records.length - 1];
    const [covered, short] = sizes.map((size) => ({ signedSizes: new Map([[other.id, size]]) }));
    expect(await verifyStore(store, own.log, covered)).toMatchObject({ ok: true });
    const { ok, undecided } = await verifyStore(store, own.log, short);
    expect([ok, undecided?.kind]).toEqual([false, "not-yet-witnessed"]);
  });

  test("every log in the database is listed once", async () => {
    const store = createMemoryAuditStore();
    expect(await listLogs(store)).toEqual([]);
    const logs = [41, 42].map((seed) => toArtefact(story(seed, false)));
    for (const one of logs) store.rows.push(...toStore(one).rows);
    expect(await listLogs(store)).toEqual(logs.map(({ log }) => log).toSorted());
  });
});
