/**
 * ST-12, ST-14: the folder of evidence is lost while spool and database are whole: it is made anew under the same log
 * id where it leads to what was witnessed, and nothing is signed where it does not.
 */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { originOf } from "../../src/audit/evidence/checkpoint.ts";
import { evidenceFolder } from "../../src/audit/evidence/checkpoint-file.ts";
import { readNodeKey } from "../../src/audit/evidence/node-key.ts";
import { isConsistent } from "../../src/audit/evidence/tree.ts";
import { listSegments } from "../../src/audit/spool/files.ts";
import { verifySpool, verifyStore } from "../../src/audit/verify/verify.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { until } from "../support/deadline.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { factsIn, openWitnessedNode } from "../support/witnessed-node.ts";

const openDatabase = (dataDir: string) =>
  openStore({ dataDir, log: silentLog, migrate: true, deadlineMs: 30_000 });

const kept = { keepShippedMs: 3_600_000 };

interface Lost {
  readonly logId: string;
  readonly witnessed: number;
  /** The last checkpoint before the folder was lost. */
  readonly old: { readonly size: number; readonly root: string };
}

/** A life with records before and after the last witnessed checkpoint, its oldest segments and then its evidence gone. */
async function loseEvidence(
  dataDir: string,
  { isWitnessed = true, keep = false } = {},
): Promise<Lost> {
  const store = await openDatabase(dataDir);
  const node = await openWitnessedNode(dataDir, store, keep ? kept : {});
  await node.fill(300);
  const firstSeq = () => listSegments(join(dataDir, "spool"))[0]?.firstSeq ?? 0;
  if (!keep) await until("the oldest segments are gone", () => firstSeq() > 1);
  const witnessed = isWitnessed ? await node.witness() : 0;
  await node.fill(5);
  const old = node.log.evidence?.checkpoint();
  if (old === undefined) throw new Error("nothing was signed");
  await node.log.close();
  await store.close();
  rmSync(evidenceFolder(dataDir), { recursive: true });
  return { logId: node.logId, witnessed, old };
}

function runSql(dataDir: string, text: string): void {
  const database = new Database(join(dataDir, "gateway.sqlite"));
  database.run(text);
  database.close();
}

describe("made anew", () => {
  for (const keep of [false, true]) {
    test(`ST-12 ${keep ? "from a whole spool" : "after segments were removed"}`, async () => {
      await using folder = temporaryFolder("evidence-lost");
      const dataDir = folder.path;
      const { logId, witnessed, old } = await loseEvidence(dataDir, { keep });
      // What the spool has is taken from there.
      if (keep)
        runSql(dataDir, `update audit_records set leaf = '${"ab".repeat(32)}' where seq = 2`);
      await using store = {
        ...(await openDatabase(dataDir)),
        [Symbol.asyncDispose]: () => store.close(),
      };
      await using node = await openWitnessedNode(dataDir, store, kept);
      expect(node.logId).toBe(logId);
      await node.fill(10);
      const { lastSeq, ...proved } = await proveSince(node, old.size);
      expect(
        isConsistent({ oldSize: old.size, oldRoot: Buffer.from(old.root, "hex"), ...proved }),
      ).toBe(true);
      expect(factsIn(dataDir, "integrity.violation")).toEqual([]);
      expect(factsIn(dataDir, "integrity.healed")).toMatchObject([
        { place: "evidence", kind: "rebuilt", from: 1, to: witnessed },
      ]);
      const key = await readNodeKey(dataDir, originOf(logId));
      const keys = key === undefined ? [] : [key.verifier];
      expect(verifySpool(join(dataDir, "spool"), { keys })).toMatchObject({
        ok: true,
        covered: lastSeq,
      });
      if (!keep) expect(await verifyStore(store.audit, logId)).toMatchObject({ ok: true });
    });
  }
});

async function proveSince({ log }: Awaited<ReturnType<typeof openWitnessedNode>>, size: number) {
  const lastSeq = log.evidence?.signedSeq() ?? 0;
  const found = await log.evidence?.prove(lastSeq, size);
  if (found === undefined) throw new Error("there is no evidence");
  return {
    lastSeq: found.checkpoint.size,
    newSize: found.checkpoint.size,
    newRoot: Buffer.from(found.checkpoint.root, "hex"),
    proof: found.consistency.map((hash) => Buffer.from(hash, "hex")),
  };
}

describe("refused", () => {
  const grows = ["insert", "update", "delete"].map(
    (what) => `drop trigger audit_checkpoints_${what};`,
  );
  const tamperings = [
    [
      "a leaf was changed",
      `update audit_records set leaf = '${"ab".repeat(32)}' where seq = 2`,
      "not those that were witnessed",
    ],
    ["a row was deleted", "delete from audit_records where seq = 2", "does not hold record 2"],
    [
      "the checkpoint was changed",
      `${grows.join(" ")} update audit_checkpoints set note = replace(note, '1', '2')`,
      "cannot be made anew",
    ],
  ] as const;
  for (const [what, text, why] of tamperings) {
    test(`ST-14 where ${what} in the database`, async () => {
      await using folder = temporaryFolder("evidence-tampered");
      const dataDir = folder.path;
      const { logId, witnessed } = await loseEvidence(dataDir);
      runSql(dataDir, text);
      await using store = {
        ...(await openDatabase(dataDir)),
        [Symbol.asyncDispose]: () => store.close(),
      };
      await using node = await openWitnessedNode(dataDir, store, kept);
      expect(node.logId).toBe(logId);
      await until("it is named", () => factsIn(dataDir, "integrity.violation").length > 0);
      const [found] = factsIn(dataDir, "integrity.violation");
      expect(found).toMatchObject({ kind: "checkpoint", seq: witnessed, foundBy: "start" });
      expect(String(found?.where)).toContain(why);
      expect(factsIn(dataDir, "lifecycle.started").at(-1)?.bootKey).toBeUndefined();
      expect(existsSync(join(evidenceFolder(dataDir), "checkpoint"))).toBe(false);
      expect(node.log.evidence?.signedSeq()).toBe(0);
    });
  }

  test("ST-14 where segments are gone and nothing was ever witnessed", async () => {
    await using folder = temporaryFolder("evidence-unwitnessed");
    const dataDir = folder.path;
    const { logId } = await loseEvidence(dataDir, { isWitnessed: false });
    await using store = {
      ...(await openDatabase(dataDir)),
      [Symbol.asyncDispose]: () => store.close(),
    };
    await using node = await openWitnessedNode(dataDir, store, kept);
    expect(node.logId).toBe(logId);
    await until("it is named", () => factsIn(dataDir, "integrity.violation").length > 0);
    expect(factsIn(dataDir, "integrity.violation")).toMatchObject([{ kind: "missing", seq: 1 }]);
    expect(node.log.evidence?.signedSeq()).toBe(0);
  });
});
