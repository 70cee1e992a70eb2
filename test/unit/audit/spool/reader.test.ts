/** Reading the spool back in pieces: nothing is skipped, wherever a piece ends. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { realDisk } from "../../../../src/audit/spool/disk.ts";
import { segmentPath } from "../../../../src/audit/spool/files.ts";
import { encodeHeader, frameHeadBytes, writeRecord } from "../../../../src/audit/spool/format.ts";
import { renderLines } from "../../../../src/audit/spool/messages.ts";
import { createSpoolReader } from "../../../../src/audit/spool/reader.ts";
import { openSpoolWriter } from "../../../../src/audit/spool/writer.ts";
import { createSampleSealer } from "../../../support/sealing.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

const recordsMax = 40;

for (const limit of [1, 3, 5, 7, 39]) {
  test(`pieces of ${limit} records hold every record of every segment once`, async () => {
    await using folder = temporaryFolder("reader");
    const dir = join(folder.path, "spool");
    const writer = openSpoolWriter({
      dir,
      logId: "log-1",
      disk: { ...realDisk, sync: (_fd, done) => done(null) },
      clock: { nowMs: () => 0, monotonicMs: () => 0 },
      sealer: createSampleSealer(),
      emit: () => {},
      options: { segmentBytesMax: 3_000, reserveBytesMax: 0, probeIntervalMs: 500 },
    });
    const body = '"time":1,"event":"admin.change","class":"A","facts":{}';
    for (let at = 0; at < recordsMax; at += 1) {
      writer.append(renderLines("", 0, { body, values: "{}" }));
    }
    writer.close();
    const reader = createSpoolReader(dir);
    const seqs: number[] = [];
    for (let after = 0; ; after = seqs.at(-1) ?? 0) {
      const piece = await reader.read(after, recordsMax, limit);
      if (piece.length === 0) break;
      seqs.push(...piece.map((record) => record.seq));
    }
    expect(seqs).toEqual(Array.from({ length: recordsMax }, (_, index) => index + 1));
  });
}

/** What one look into a file takes. */
const pieceBytes = 512 * 1024;

/** A segment of records, one of which ends `cut` bytes before the end of the first look; the next begins with a zero. */
function renderSegment(
  cut: number,
  records: number,
): { readonly bytes: Buffer; readonly at: number } {
  const bytes = Buffer.alloc(2 * pieceBytes);
  const header = {
    v: 2,
    log: "log-1",
    firstSeq: 1,
    prev: "0".repeat(64),
    openIntents: [],
  } as const;
  let end = encodeHeader(header).copy(bytes);
  let leaf = header.prev;
  let at = 0;
  for (let seq = 1; seq <= records; seq += 1) {
    const write = (filling: number) => {
      const facts = JSON.stringify({ text: "x".repeat(filling) });
      const envelope = `{"v":2,"log":"log-1","seq":${seq},"prev":"${leaf}","time":1,"event":"admin.change","class":"A","facts":${facts}}`;
      return writeRecord(bytes, end, { envelope, details: '{"v":1}' });
    };
    const bare = write(0).end - end;
    const left = pieceBytes - cut - end;
    const isBefore = at === 0 && left < 2 * (bare + 10_000);
    const isAfter = at === seq - 1 && at > 0;
    const wanted = isBefore ? left : isAfter ? frameHeadBytes + 256 * 8 : bare + 10_000;
    const written = write(wanted - bare);
    if (isBefore) at = seq;
    leaf = written.leaf;
    end = written.end;
  }
  return { bytes: bytes.subarray(0, end), at };
}

for (const cut of [0, 1, 2, 7, 8]) {
  test(`ST-03: records follow where a look into the file ends ${cut} bytes behind one`, async () => {
    await using folder = temporaryFolder("reader");
    const records = 60;
    const { bytes, at } = renderSegment(cut, records);
    await Bun.write(segmentPath(folder.path, 1), bytes);
    for (const after of [0, at - 1, at, at + 2]) {
      // Twice: from its beginning, and from where the reader stopped.
      const reader = createSpoolReader(folder.path);
      const seqs: number[] = [];
      for (const untilSeq of [records - 2, records]) {
        const piece = await reader.read(seqs.at(-1) ?? after, untilSeq, records);
        seqs.push(...piece.map((record) => record.seq));
      }
      expect(seqs).toEqual(
        Array.from({ length: records - after }, (_, index) => after + index + 1),
      );
    }
  });
}

for (const lost of [4096, pieceBytes, 5 * 1024 * 1024]) {
  test(`ST-14: records follow ${lost} zeros that were to be others, wherever a look ends in them`, async () => {
    await using folder = temporaryFolder("reader");
    const records = 60;
    const cut = 100;
    const { bytes } = renderSegment(cut, records);
    const from = pieceBytes - cut;
    const parts = [bytes.subarray(0, from), Buffer.alloc(lost), bytes.subarray(from)];
    await Bun.write(segmentPath(folder.path, 1), Buffer.concat(parts));
    // There is a next one, in which nothing of this one is found.
    await Bun.write(segmentPath(folder.path, records + 1), "");
    const found = await createSpoolReader(folder.path).read(0, records + 1, records + 1);
    expect(found.map((record) => record.seq)).toEqual(
      Array.from({ length: records }, (_, index) => index + 1),
    );
  });
}
