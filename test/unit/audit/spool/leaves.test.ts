/** Leaves read back from segments: all of them, from anywhere; what is missing or spoilt ends the reading by name. */
import { describe, expect, test } from "bun:test";
import { appendFileSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { listSegments } from "../../../../src/audit/spool/files.ts";
import { createLeafReader, type LeafReader } from "../../../../src/audit/spool/leaves.ts";
import { createSpoolFiles } from "../../../support/spool-files.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

function collect(reader: LeafReader, afterSeq: number, untilSeq: number) {
  const leaves: string[] = [];
  const seqs: number[] = [];
  const damage = reader.read(afterSeq, untilSeq, (record) => {
    leaves.push(record.leaf);
    seqs.push(record.seq);
  });
  return { leaves, seqs, damage };
}

function flipBit(path: string, seq: number): void {
  const bytes = Buffer.from(readFileSync(path));
  const at = bytes.indexOf(`"seq":${seq},`) + 20;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

describe("a sound spool", () => {
  test("gives every leaf once, in pieces of any size, from several segments", async () => {
    await using folder = temporaryFolder("leaves");
    const files = createSpoolFiles(folder.path);
    for (const count of [1, 40, 700, 3]) files.write(count);
    for (const step of [1, 7, 100, 744]) {
      const reader = createLeafReader(folder.path);
      const found: string[] = [];
      for (let seq = 0; seq < 744; seq += step) {
        const { leaves, damage } = collect(reader, seq, Math.min(seq + step, 744));
        expect(damage).toBeUndefined();
        found.push(...leaves);
      }
      expect(found).toEqual([...files.leaves]);
    }
  });

  test("is read from the middle, backwards too, and says what each record is", async () => {
    await using folder = temporaryFolder("leaves-middle");
    const files = createSpoolFiles(folder.path);
    files.write(50, "lifecycle.stopped");
    files.write(50);
    const reader = createLeafReader(folder.path);
    for (const seq of [80, 20, 50]) {
      let event = "";
      let prev = "";
      reader.read(seq - 1, seq, (record) => {
        ({ event, prev } = record);
      });
      expect(event).toBe(seq === 50 ? "lifecycle.stopped" : "admin.change");
      expect(prev).toBe(files.leaves[seq - 2] ?? "");
    }
  });

  test("is read on where a segment was written anew under its name", async () => {
    await using folder = temporaryFolder("leaves-anew");
    const files = createSpoolFiles(folder.path);
    files.write(60);
    const reader = createLeafReader(folder.path);
    collect(reader, 0, 30);
    const [segment] = listSegments(folder.path);
    const path = segment?.path ?? "";
    // Another file with other offsets, as erasure leaves it.
    const bytes = readFileSync(path);
    const first = 8 + bytes.readUInt32LE(0);
    writeFileSync(
      `${path}.new`,
      Buffer.concat([bytes.subarray(0, first), bytes.subarray(0, first), bytes.subarray(first)]),
    );
    renameSync(`${path}.new`, path);
    expect(collect(reader, 30, 60).leaves).toEqual(files.leaves.slice(30));
  });

  test("may end in room that is not written yet", async () => {
    await using folder = temporaryFolder("leaves-room");
    const files = createSpoolFiles(folder.path);
    files.write(5);
    appendFileSync(listSegments(folder.path)[0]?.path ?? "", Buffer.alloc(1_000_000));
    const reader = createLeafReader(folder.path);
    expect(collect(reader, 0, 5).seqs).toEqual([1, 2, 3, 4, 5]);
    expect(collect(reader, 5, 6).damage).toMatchObject({ kind: "bytes", seq: 6 });
  });
});

describe("ST-14: a spool that is not sound", () => {
  test("is read up to the spoilt record and named there, again and again", async () => {
    await using folder = temporaryFolder("leaves-spoilt");
    const files = createSpoolFiles(folder.path);
    files.write(30);
    files.write(30);
    const path = listSegments(folder.path)[1]?.path ?? "";
    flipBit(path, 45);
    const reader = createLeafReader(folder.path);
    for (const from of [0, 44, 44]) {
      const { seqs, damage } = collect(reader, from, 60);
      expect(seqs.at(-1) ?? from).toBe(44);
      expect(damage).toEqual({ kind: "bytes", seq: 45, segment: basename(path) });
    }
    flipBit(path, 45);
    expect(collect(reader, 44, 60).leaves).toEqual(files.leaves.slice(44));
  });

  test("of which a segment is gone is named", async () => {
    await using folder = temporaryFolder("leaves-gone");
    const files = createSpoolFiles(folder.path);
    for (const count of [10, 10, 10]) files.write(count);
    rmSync(listSegments(folder.path)[0]?.path ?? "");
    const reader = createLeafReader(folder.path);
    expect(collect(reader, 0, 30).damage).toEqual({ kind: "missing", seq: 1, segment: "" });
    rmSync(listSegments(folder.path)[0]?.path ?? "");
    expect(collect(reader, 5, 30).damage).toMatchObject({ kind: "missing", seq: 6 });
    expect(collect(reader, 20, 30).leaves).toEqual(files.leaves.slice(20));
  });

  test("whose record stands twice, or is left out, is named", async () => {
    await using folder = temporaryFolder("leaves-order");
    const files = createSpoolFiles(folder.path);
    files.write(3);
    const path = listSegments(folder.path)[0]?.path ?? "";
    const bytes = readFileSync(path);
    const ends: number[] = [0];
    for (let at = 0; at < bytes.length; at += 8 + bytes.readUInt32LE(at)) {
      ends.push(at + 8 + bytes.readUInt32LE(at));
    }
    const frame = (index: number) => bytes.subarray(ends[index], ends[index + 1]);
    for (const order of [
      [0, 1, 1, 2, 3],
      [0, 1, 3],
      [0, 2, 1, 3],
    ]) {
      writeFileSync(path, Buffer.concat(order.map(frame)));
      const { damage } = collect(createLeafReader(folder.path), 0, 3);
      expect(damage).toMatchObject({ kind: "bytes" });
    }
  });
});
