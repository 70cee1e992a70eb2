/**
 * This node as a witness (c2sp.org/tlog-witness): each status for its reason, and no second history ever cosigned. Asked
 * by the gateway's own client, and by hand where the client would not.
 */
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cosignatureType, createSigningKey } from "../../../../src/audit/evidence/keys.ts";
import { parseNote, verifyNote } from "../../../../src/audit/evidence/note.ts";
import { createAddCheckpoint } from "../../../../src/audit/witness/add-checkpoint.ts";
import { renderAddCheckpoint } from "../../../../src/audit/witness/add-checkpoint-message.ts";
import type { WitnessedTree } from "../../../../src/audit/witness/witness.ts";
import { createWitnessedLogs } from "../../../../src/audit/witness/witnessed-logs.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { createSampleTree } from "../../../support/sample-tree.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const log = createSampleTree();
const key = createSigningKey("witness.example/w1", cosignatureType);

function start() {
  const folder = temporaryFolder();
  cleanups.push(() => folder[Symbol.asyncDispose]());
  const dir = join(folder.path, "witnessed");
  const lies: object[] = [];
  const open = () =>
    createAddCheckpoint({
      logs: new Map([[log.origin, [log.key.verifier]]]),
      key,
      witnessed: createWitnessedLogs(dir),
      clock: systemClock,
      lied: (found) => lies.push(found),
    });
  return { dir, lies, open };
}

function ask(oldSize: number, tree: WitnessedTree, proof = tree.prove(oldSize)): string {
  return renderAddCheckpoint({ oldSize, proof, checkpoint: tree.note });
}

test("200: a cosignature over the checkpoint, by its own key, of now", async () => {
  const { open } = start();
  const tree = log.at(5);
  const answer = await open()(ask(0, tree));
  expect(answer.status).toBe(200);
  const { text } = parseNote(tree.note);
  const [verified] = verifyNote(parseNote(`${text}\n${answer.text}`), [key.verifier]);
  expect(Math.abs((verified?.timestamp ?? 0) - Date.now() / 1000)).toBeLessThan(60);
});

test("it goes on from what it cosigned, after a new start too, and cosigns the same again", async () => {
  const { open } = start();
  const witness = open();
  expect((await witness(ask(0, log.at(5)))).status).toBe(200);
  expect((await witness(ask(5, log.at(12)))).status).toBe(200);
  expect((await open()(ask(12, log.at(12)))).status).toBe(200);
  expect((await open()(ask(12, log.at(300)))).status).toBe(200);
});

test("409 with the size, where the old size is not the one cosigned last", async () => {
  const { open } = start();
  const witness = open();
  await witness(ask(0, log.at(5)));
  for (const old of [0, 3, 6]) {
    expect(await witness(ask(old, log.at(12)))).toEqual({
      status: 409,
      contentType: "text/x.tlog.size",
      text: "5\n",
    });
  }
});

test("409 for another root of the same size, 422 for a tree that does not go on (ST-22)", async () => {
  const { open, lies, dir } = start();
  const witness = open();
  await witness(ask(0, log.at(6)));
  const fork = createSampleTree("fork", 4, log.key);
  expect((await witness(ask(6, fork.at(6)))).status).toBe(409);
  expect((await witness(ask(6, fork.at(9)))).status).toBe(422);
  expect(await witness(ask(6, log.at(9), [])).then(({ status }) => status)).toBe(422);
  expect(lies).toHaveLength(3);
  expect(readdirSync(dir)).toHaveLength(1);
  expect((await witness(ask(6, log.at(9)))).status).toBe(200);
});

test("404 for a log it does not know, 403 for a signature it does not know", async () => {
  const { open } = start();
  const witness = open();
  const stranger = createSigningKey(log.origin);
  expect((await witness(ask(0, log.at(5, stranger)))).status).toBe(403);
  const elsewhere = log.at(5).note.replaceAll(log.origin, "other.example/log");
  expect((await witness(`old 0\n\n${elsewhere}`)).status).toBe(404);
});

test.each([
  ["nothing", ""],
  ["no old size", `\n\n${log.at(5).note}`],
  ["an old size with a zero before it", `old 05\n\n${log.at(5).note}`],
  ["an old size larger than the tree", ask(6, log.at(5), [])],
  ["a proof that is no base64", `old 1\n%%%\n\n${log.at(5).note}`],
  ["a proof of short hashes", `old 1\nAAAA\n\n${log.at(5).note}`],
  ["64 lines of proof", ask(1, log.at(5), new Array(64).fill(new Uint8Array(32)))],
  ["a checkpoint without a signature", `old 0\n\n${log.origin}\n5\nAAAA\n`],
])("400 for %s", async (_what, body) => {
  const { open, dir } = start();
  expect((await open()(body)).status).toBe(400);
  expect(() => readdirSync(dir)).toThrow();
});

test("two at once with the same old size: one is cosigned, the other told the new size", async () => {
  const { open } = start();
  const witness = open();
  const answers = await Promise.all([witness(ask(0, log.at(5))), witness(ask(0, log.at(9)))]);
  expect(answers.map(({ status }) => status)).toEqual([200, 409]);
  expect(answers[1]?.text).toBe("5\n");
});

test("what it remembers is never taken for nothing: a damaged place is an error, not a beginning", async () => {
  const { open, dir } = start();
  await open()(ask(0, log.at(5)));
  const [name = ""] = readdirSync(dir);
  writeFileSync(join(dir, name), '{"v":1,"size":0}');
  const error = await open()(ask(0, log.at(9))).catch((cause: unknown) => cause);
  expect(String(error)).toContain("does not say what was cosigned");
});

test("what cannot be kept is not cosigned", async () => {
  const { open, dir } = start();
  mkdirSync(join(dir, ".."), { recursive: true });
  writeFileSync(dir, "a file where the folder should be");
  const error = await open()(ask(0, log.at(5))).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(Error);
});
