/**
 * One fault in one chosen call to the disk, and the disk full at one chosen byte: every call and every
 * byte in turn, on a disk in memory. Nothing is acknowledged that is not there, nothing is synced twice after it failed.
 */
import { expect, test } from "bun:test";
import type { SpoolDisk } from "../../src/audit/spool/disk.ts";
import { withQuickSync } from "../../src/audit/spool/quick-sync.ts";
import { createScriptedSpool, recordLines } from "../support/scripted-spool.ts";

const callsMax = Number(process.env.FAULT_CALLS ?? 500);
const appends = 130;

/** Appends until the end, whatever happens, then dies and comes back. */
function liveThrough(
  spool: ReturnType<typeof createScriptedSpool>,
  disk: SpoolDisk = spool.faulty.disk,
): readonly string[] {
  const told = new Map<number, number>();
  try {
    const writer = spool.open(disk);
    for (let id = 0; id < appends; id += 1) {
      const before = spool.said.length;
      writer.append(recordLines(id));
      const written = spool.said.slice(before).find((one) => one.kind === "written");
      if (written?.kind === "written") told.set(written.firstSeq, id);
      spool.endSyncs();
      if (id % 10 === 9) spool.runTimers();
    }
  } catch {
    // Refused at its start: nothing was promised.
  }
  spool.faulty.fault = () => undefined;
  spool.faulty.crash("power");
  spool.open();
  const stored = spool.stored();
  const problems = [...spool.faulty.offences];
  if ((stored.at(-1)?.seq ?? 0) < spool.ackedSeq()) problems.push("an acknowledged record is gone");
  stored.forEach((one, index) => {
    if (one.seq !== index + 1) problems.push(`record ${one.seq} stands at ${index + 1}`);
    if (one.prev !== (stored[index - 1]?.leaf ?? "0".repeat(64))) problems.push("the chain breaks");
    if (one.seq <= spool.ackedSeq() && one.facts.id !== told.get(one.seq)) {
      problems.push(`record ${one.seq} is another one than was acknowledged`);
    }
  });
  return problems;
}

const disks = {
  slow: (disk: SpoolDisk) => disk,
  quick: (disk: SpoolDisk) => withQuickSync(disk, { monotonicMs: () => 0 }),
};

test.each(
  ["EIO", "ENOSPC", "EMFILE"].flatMap((code) =>
    (["slow", "quick"] as const).map((kind) => [code, kind] as const),
  ),
)(
  `R-09 ST-09: %s at each of the first ${callsMax} storage calls of a %s disk: no false acknowledgement`,
  (code, kind) => {
    const failed: string[] = [];
    let reached = 0;
    let acknowledged = 0;
    for (let at = 1; at <= callsMax; at += 1) {
      const spool = createScriptedSpool();
      spool.faulty.fault = (_name, call) =>
        call === at ? Object.assign(new Error("injected"), { code }) : undefined;
      const disk = disks[kind](spool.faulty.disk);
      for (const problem of liveThrough(spool, disk)) failed.push(`call ${at}: ${problem}`);
      if (spool.faulty.calls() >= at) reached += 1;
      acknowledged += spool.ackedSeq();
    }
    expect(failed).toEqual([]);
    expect(reached).toBe(callsMax);
    expect(acknowledged).toBeGreaterThan(callsMax * (appends - 20));
  },
  600_000,
);

test(`R-09: each of the first ${callsMax} storage calls that writes, cut short`, () => {
  const failed: string[] = [];
  for (let at = 1; at <= callsMax; at += 1) {
    const spool = createScriptedSpool();
    const { disk } = spool.faulty;
    const short: SpoolDisk = {
      ...disk,
      write: (fd, bytes, from, length, position) => {
        const isShort = spool.faulty.calls() + 1 === at;
        return disk.write(fd, bytes, from, isShort ? Math.ceil(length / 3) : length, position);
      },
    };
    for (const problem of liveThrough(spool, short)) failed.push(`call ${at}: ${problem}`);
    if (spool.ackedSeq() !== appends) failed.push(`call ${at}: ${spool.ackedSeq()} acknowledged`);
  }
  expect(failed).toEqual([]);
}, 600_000);

/** Where the frames of some appends begin and end when nothing is in their way. */
function frameEdges(): readonly number[] {
  const spool = createScriptedSpool();
  const writer = spool.open();
  for (let id = 0; id < 6; id += 1) {
    writer.append(recordLines(id));
    spool.endSyncs();
  }
  return spool.stored().flatMap(({ from, to }) => [from, from + 1, (from + to) >> 1, to - 1, to]);
}

test("R-08 ST-07: the disk full at every frame boundary and inside every frame", () => {
  const edges = frameEdges();
  expect(edges.length).toBe(30);
  for (const edge of edges) {
    const spool = createScriptedSpool();
    // No room can be written ahead either: the disk ends at the chosen byte.
    spool.faulty.capacity = edge;
    const live = spool.open();
    let refusedAt: number | undefined;
    for (let id = 0; id < 6; id += 1) {
      const before = spool.said.length;
      live.append(recordLines(id));
      spool.endSyncs();
      const said = spool.said.slice(before);
      const isRefused = said.some((one) => one.kind === "unwritten");
      // Within the one commit that found no room, and said so.
      if (isRefused) expect(spool.said.some((one) => one.kind === "room" && one.isFull)).toBe(true);
      if (isRefused) refusedAt ??= id;
      expect(spool.stored().length).toBe(refusedAt ?? id + 1);
    }
    spool.faulty.capacity = Number.POSITIVE_INFINITY;
    spool.runTimers();
    if (refusedAt !== undefined) {
      expect(spool.said.at(-1)).toEqual({ kind: "room", isFull: false, reason: "" });
    }
    live.append(recordLines(7));
    spool.endSyncs();
    live.close();
    const ids = spool.stored().map((one) => one.facts.id);
    const kept = Array.from({ length: refusedAt ?? 6 }, (_, id) => id);
    expect(ids).toEqual([...kept, 7]);
  }
});

test("ST-07: the reserve is given back for what is under way, and had again before new is let in", () => {
  const reserveBytesMax = 256 * 1024;
  const spool = createScriptedSpool({ reserveBytesMax });
  const writer = spool.open();
  for (let turn = 0; turn < 8; turn += 1) spool.runTimers();
  const size = () => spool.faulty.disk.size("/spool/reserve");
  expect(size()).toBe(reserveBytesMax);
  spool.faulty.capacity = spool.faulty.used();
  for (let id = 0; id < 20; id += 1) {
    writer.append(recordLines(id));
    spool.endSyncs();
  }
  expect(spool.said.filter((one) => one.kind === "room")).toEqual([
    { kind: "room", isFull: true, reason: "ENOSPC" },
  ]);
  expect(size()).toBe(0);
  expect(spool.said.some((one) => one.kind === "unwritten")).toBe(false);
  expect(spool.ackedSeq()).toBe(20);
  spool.runTimers();
  expect(spool.said.at(-1)?.kind).not.toBe("room");
  spool.faulty.capacity += 64 * 1024;
  spool.runTimers();
  expect(spool.said.at(-1)).toEqual({ kind: "room", isFull: false, reason: "" });
  expect(size()).toBe(reserveBytesMax);
  writer.close();
});

test("ST-20: with no file descriptor left a segment still ends and the next begins", () => {
  const spool = createScriptedSpool();
  const writer = spool.open();
  const needsDescriptor = new Set(["create", "open", "list", "read"]);
  spool.faulty.fault = (name) =>
    needsDescriptor.has(name) ? Object.assign(new Error("none"), { code: "EMFILE" }) : undefined;
  for (let id = 0; id < 8; id += 1) {
    writer.append(recordLines(id, 500));
    spool.endSyncs();
  }
  expect(spool.said.some((one) => one.kind === "unwritten")).toBe(false);
  expect(spool.ackedSeq()).toBe(8);
  spool.faulty.fault = () => undefined;
  const begun = spool.faulty.disk.list("/spool").filter((name) => name.endsWith(".seg"));
  expect(begun.length).toBe(2);
});
