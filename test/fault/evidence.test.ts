/**
 * kill -9 while tiles are written and checkpoints signed, again and again on one folder: of all checkpoints that were
 * ever seen or told of, each goes on from the one before (ST-12), and every life stands certified in the log.
 * FAULT_CYCLES and FAULT_SEED make it longer and repeatable.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { verifyBootCertificate } from "../../src/audit/evidence/boot-certificate.ts";
import { findCertificate } from "../../src/audit/evidence/certificates.ts";
import { originOf, verifyCheckpoint } from "../../src/audit/evidence/checkpoint.ts";
import { evidenceFolder, readCheckpoint } from "../../src/audit/evidence/checkpoint-file.ts";
import { realEvidenceDisk } from "../../src/audit/evidence/disk.ts";
import { readNodeKey } from "../../src/audit/evidence/node-key.ts";
import { renderNote } from "../../src/audit/evidence/note.ts";
import { createTileReader } from "../../src/audit/evidence/tiles.ts";
import { isConsistent, proveConsistency, rootAt } from "../../src/audit/evidence/tree.ts";
import { listSegments } from "../../src/audit/spool/files.ts";
import { scanSegment } from "../../src/audit/spool/scan.ts";
import { createRandom, faultCycles, faultSeed } from "../support/random.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

interface Seen {
  readonly size: number;
  readonly root: Uint8Array;
}

const child = join(import.meta.dir, "../support/evidence-child.ts");

/** Runs one life until it has said something, and a little longer, or kills it while it starts. */
async function liveAndDie(dataDir: string, afterMs: number, isStarting: boolean) {
  const life = Bun.spawn([process.execPath, child, dataDir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  const decoder = new TextDecoder();
  const reading = (async () => {
    for await (const chunk of life.stdout) {
      const isFirst = said === "";
      said += decoder.decode(chunk);
      if (isFirst && !isStarting) setTimeout(() => life.kill("SIGKILL"), afterMs);
    }
  })();
  if (isStarting) setTimeout(() => life.kill("SIGKILL"), afterMs);
  await life.exited;
  await reading;
  return parseSaid(said);
}

function parseSaid(said: string): readonly Seen[] {
  const whole = said.slice(0, said.lastIndexOf("\n") + 1);
  return [...whole.matchAll(/^c(\d+) ([0-9a-f]{64})$/gm)].map(([, size, root]) => ({
    size: Number(size),
    root: Buffer.from(root ?? "", "hex"),
  }));
}

test("ST-12: kills around tiles and signing never leave a checkpoint that contradicts another", async () => {
  const cycles = faultCycles(10);
  const random = createRandom();
  await using folder = temporaryFolder("kill-evidence");
  const dataDir = folder.path;
  const dir = evidenceFolder(dataDir);
  const seen: Seen[] = [];
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    const isStarting = cycle % 3 === 2;
    seen.push(...(await liveAndDie(dataDir, random(isStarting ? 300 : 250), isStarting)));
    const left = readCheckpoint(dir);
    if (left !== undefined) seen.push(left);
  }
  // A last life that adopts it all, and is killed too.
  seen.push(...(await liveAndDie(dataDir, 100, false)));

  const last = readCheckpoint(dir);
  if (last === undefined) throw new Error("nothing was signed");
  const node = createTileReader(realEvidenceDisk, dir, last.size);
  expect(Buffer.from(rootAt(last.size, node))).toEqual(Buffer.from(last.root));
  const bySize = [...seen].sort((a, b) => a.size - b.size);
  for (const [at, { size, root }] of bySize.entries()) {
    const next = bySize[at + 1] ?? last;
    const proof = proveConsistency(size, next.size, node);
    const claim = { oldSize: size, oldRoot: root, newSize: next.size, newRoot: next.root, proof };
    expect(isConsistent(claim)).toBe(true);
  }

  const records = listSegments(join(dataDir, "spool")).flatMap(
    ({ path }) => scanSegment(readFileSync(path)).records,
  );
  const leaves = records.slice(0, last.size).map(({ leaf }) => leaf);
  const inTiles = leaves.map((_, index) => Buffer.from(node(0, index)).toString("hex"));
  expect(inTiles).toEqual(leaves);
  const texts = records.map(({ envelope }) => envelope);
  expect(texts.filter((text) => text.includes('"event":"integrity.violation"'))).toEqual([]);
  const starts = texts.filter((text) => text.includes('"event":"lifecycle.started"'));
  expect(starts.length).toBeGreaterThan(cycles / 2);
  for (const text of starts) expect(JSON.parse(text).facts.bootKey).toBeString();

  const origin = originOf(JSON.parse(texts[0] ?? "{}").log);
  const nodeKey = await readNodeKey(dataDir, origin);
  if (nodeKey === undefined) throw new Error("there is no node key");
  const certificate = findCertificate(dir, last.note) ?? "";
  const boot = verifyBootCertificate(certificate, [nodeKey.verifier]);
  verifyCheckpoint(renderNote(last.note), origin, [boot.key]);
  const figures = { seed: faultSeed, cycles, checkpoints: seen.length, records: records.length };
  console.log(JSON.stringify(figures));
  expect(new Set(seen.map(({ size }) => size)).size).toBeGreaterThan(cycles / 2);
});
