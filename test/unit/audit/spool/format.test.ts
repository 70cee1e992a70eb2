/** Frames and segments: what is written reads back, a torn tail is told from damage in the middle. */
import { expect, test } from "bun:test";
import { leafOf } from "../../../../src/audit/envelope.ts";
import { decodeFrame, encodeHeader, writeRecord } from "../../../../src/audit/spool/format.ts";
import { scanSegment } from "../../../../src/audit/spool/scan.ts";
import { sealSample } from "../../../support/sealing.ts";

const header = { v: 2, log: "log-1", firstSeq: 1, prev: "0", openIntents: [7] } as const;

function seal(seq: number) {
  const body = `"time":1,"event":"admin.change","class":"A","facts":{"tool":"ä✓${seq}"}`;
  return sealSample({ log: "log-1", seq, prev: "p" }, { body, values: '{"principal":"ö"}' });
}

function buildSegment(count: number) {
  const buffer = Buffer.alloc(10_000);
  const starts: number[] = [];
  let end = encodeHeader(header).copy(buffer);
  for (let seq = 1; seq <= count; seq += 1) {
    starts.push(end);
    end = writeRecord(buffer, end, seal(seq)).end;
  }
  return { bytes: buffer.subarray(0, end), starts };
}

test("a record reads back byte for byte with the leaf of its envelope", () => {
  const buffer = Buffer.alloc(1000);
  const { end, leaf } = writeRecord(buffer, 3, seal(1));
  const record = { ...seal(1), leaf };
  expect(leaf).toBe(leafOf(seal(1).envelope));
  expect(decodeFrame(buffer.subarray(0, end), 3)).toEqual({ kind: "record", record, end });
});

test("a segment reads back whole", () => {
  const { bytes } = buildSegment(3);
  const scan = scanSegment(bytes);
  expect(scan).toMatchObject({ header, damage: [], soundEnd: bytes.length });
  expect(scan.records.map((record) => record.envelope)).toEqual(
    [1, 2, 3].map((n) => seal(n).envelope),
  );
});

test("ST-13 cut anywhere in the last frame, the tail is torn and nothing before it is lost", () => {
  const { bytes, starts } = buildSegment(3);
  const last = starts[2] ?? 0;
  for (let length = last; length < bytes.length; length += 1) {
    const scan = scanSegment(bytes.subarray(0, length));
    expect([scan.records.length, scan.soundEnd, scan.damage.length]).toEqual([2, last, 0]);
  }
});

test("ST-13 space that was never filled is a torn tail", () => {
  const { bytes } = buildSegment(2);
  const scan = scanSegment(Buffer.concat([bytes, Buffer.alloc(4096)]));
  expect([scan.records.length, scan.soundEnd, scan.damage.length]).toEqual([2, bytes.length, 0]);
});

test("ST-14 one flipped bit anywhere in a middle frame is damage of that frame alone", () => {
  const { bytes, starts } = buildSegment(3);
  const [, from = 0, to = 0] = starts;
  for (let at = from; at < to; at += 1) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
    const scan = scanSegment(flipped);
    expect([scan.records.length, scan.damage]).toEqual([2, [{ from, to }]]);
    expect(scan.soundEnd).toBe(bytes.length);
  }
});

test("ST-14 a whole last frame with a wrong sum is damage, not a tail to cut", () => {
  const { bytes, starts } = buildSegment(2);
  bytes[bytes.length - 2] = 0;
  const scan = scanSegment(bytes);
  expect(scan.damage).toEqual([{ from: starts[1] ?? 0, to: bytes.length }]);
});
