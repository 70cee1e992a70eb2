/**
 * how long recovery takes after a crash that left a full segment of 64 MiB, measured and not asserted: a figure
 * of a shared machine decides nothing. That every record is found again is asserted.
 */
import { expect, test } from "bun:test";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { realDisk } from "../../src/audit/spool/disk.ts";
import { type FromSpool, renderLines } from "../../src/audit/spool/messages.ts";
import { openSpoolWriter } from "../../src/audit/spool/writer.ts";
import { createSampleSealer } from "../support/sealing.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const segmentBytesMax = 64 * 1024 * 1024;
const groupRecords = 64;

function openIn(dir: string) {
  const said: FromSpool[] = [];
  const writer = openSpoolWriter({
    dir,
    logId: "log-1",
    disk: { ...realDisk, sync: (_fd, done) => done(null) },
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    sealer: createSampleSealer(),
    emit: (message) => said.push(message),
    options: { segmentBytesMax, reserveBytesMax: 1, probeIntervalMs: 500 },
  });
  return { writer, said };
}

test("R-16: a spool with a tail of 64 MiB is recovered whole", async () => {
  await using folder = temporaryFolder("restart");
  const dir = join(folder.path, "spool");
  const body = `"time":1,"event":"call.outcome","class":"A","facts":{"text":"${"x".repeat(400)}"}`;
  const lines = renderLines("!", 1, { body, values: '{"principal":"p"}' });
  const batch = Array.from({ length: groupRecords }, () => lines).join("\n");
  const first = openIn(dir);
  let records = 0;
  for (let bytes = 0; bytes < segmentBytesMax * 0.97; records += groupRecords) {
    first.writer.append(batch);
    const last = first.said.at(-1);
    if (last?.kind === "synced") bytes = last.spoolBytes;
  }
  // As the crash leaves it: nothing was closed.
  const crashed = join(folder.path, "crashed");
  cpSync(dir, crashed, { recursive: true });
  first.writer.close();
  const startedMs = performance.now();
  const second = openIn(crashed);
  const recoveryMs = Math.round(performance.now() - startedMs);
  console.log(JSON.stringify({ records, recoveryMs }));
  expect(second.said[0]).toMatchObject({ kind: "opened", lastSeq: records, damage: [] });
  second.writer.close();
}, 300_000);
