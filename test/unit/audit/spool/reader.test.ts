/** Reading the spool back in pieces: nothing is skipped, wherever a piece ends. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { realDisk } from "../../../../src/audit/spool/disk.ts";
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
