/**
 * One schedule of the simulated power loss, all of it decided by a seed: a writer on a faulty disk, appends of
 * every kind, syncs that end late or fail, segments rolled, removed, shredded and poisoned, a disk that fills up, and
 * crashes between and inside all of these. After each recovery the spool is held against what callers had been told.
 */
import { parseEnvelope } from "../../src/audit/envelope.ts";
import type { SpoolDisk } from "../../src/audit/spool/disk.ts";
import { listSegments } from "../../src/audit/spool/files.ts";
import {
  type FromSpool,
  type RecordMark,
  renderLines,
  type SpoolWriterOptions,
} from "../../src/audit/spool/messages.ts";
import { withQuickSync } from "../../src/audit/spool/quick-sync.ts";
import { scanSegment } from "../../src/audit/spool/scan.ts";
import { openSpoolWriter, type SpoolWriter } from "../../src/audit/spool/writer.ts";
import { createFaultyDisk, type FaultyDisk, Gone } from "./faulty-disk.ts";
import { createRandom } from "./random.ts";
import { createShreddingOf } from "./shred-simulation.ts";

export interface ScheduleOptions {
  /** Breaks the code under test, to show that the simulation notices. */
  readonly sabotage?: (disk: SpoolDisk) => SpoolDisk;
}

export interface ScheduleResult {
  /** What must not be; empty in a sound run. */
  readonly problems: readonly string[];
  readonly acknowledged: number;
  readonly recoveries: number;
}

interface Told {
  readonly id: number;
  /** Whose keys seal its values; 0 where it has none. */
  readonly pair: number;
  readonly isIntent: boolean;
  readonly closes: number | undefined;
}

interface Stored extends Told {
  readonly seq: number;
  readonly prev: string;
  readonly leaf: string;
}

const dir = "/spool";
const stepsMax = 60;
const opensMax = 200;
const options: SpoolWriterOptions = {
  segmentBytesMax: 4 * 1024,
  reserveBytesMax: 64 * 1024,
  probeIntervalMs: 500,
};

export function runSchedule(seed: number, { sabotage }: ScheduleOptions = {}): ScheduleResult {
  const random = createRandom(((seed + 1) * 7_919) % 2_147_483_647);
  const faulty = createFaultyDisk(random);
  const disk = sabotage?.(faulty.disk) ?? faulty.disk;
  let quickMs = 0;
  /** Half of the writers may wait for a sync themselves, and find the disk now quick and now slow. */
  const quickClock = { monotonicMs: () => (quickMs += random(4) === 0 ? 2 : 0) };
  const writerDisk = seed % 2 === 0 ? disk : withQuickSync(disk, quickClock);
  const problems: string[] = [];
  /** Every record ever handed to the writer, by the number it was told to have, and the ids it was told with. */
  const told = new Map<number, Set<number>>();
  const posted = new Map<number, Told>();
  /** What the log holds as far as anybody knows: confirmed at each recovery. */
  let truth = new Map<number, Told>();
  let ackedSeq = 0;
  let removedUpTo = 0;
  let nextId = 1;
  let recoveries = 0;
  let nowMs = 0;
  let timers: { readonly atMs: number; readonly run: () => void }[] = [];
  let writer: SpoolWriter | undefined;
  let batch: readonly Told[] = [];
  let life = 0;
  const shredding = createShreddingOf({ disk, dir, random });

  for (let step = 0; step < stepsMax && problems.length === 0; step += 1) takeStep();
  if (problems.length === 0) finish();
  return { problems: [...problems, ...faulty.offences], acknowledged: ackedSeq, recoveries };

  function takeStep(): void {
    if (writer === undefined) {
      open();
      return;
    }
    if (random(40) === 0) faulty.capacity = faulty.used() + random(3_000);
    if (random(15) === 0) faulty.capacity = Number.POSITIVE_INFINITY;
    const doomed = random(25) === 0 ? faulty.calls() + 1 + random(12) : Number.POSITIVE_INFINITY;
    const faultEvery = random(4) === 0 ? 12 : 0;
    faulty.fault = (_name, call) => {
      if (call >= doomed) return new Gone("gone");
      if (faultEvery === 0 || random(faultEvery) !== 0) return undefined;
      return Object.assign(new Error("injected"), { code: "EIO" });
    };
    try {
      act(writer);
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
    }
    const isGone = faulty.calls() >= doomed;
    faulty.fault = () => undefined;
    if (isGone || random(20) === 0) crash();
  }

  function act(live: SpoolWriter): void {
    const choice = random(20);
    if (choice < 10) append(live);
    else if (choice < 15) endSync();
    else if (choice < 18) runTimer();
    else if (choice < 19) random(2) === 0 ? removeOldest(live) : shred(live);
    else if (random(4) === 0) closeAndForget(live);
    else endSync();
  }

  function append(live: SpoolWriter): void {
    const count = 1 + random(4);
    const open = openIntentsOf(truth);
    batch = Array.from({ length: count }, () => {
      const kind = random(3);
      const closes = kind === 2 ? open.pop() : undefined;
      const one = { id: nextId, pair: random(3), isIntent: kind === 1, closes };
      nextId += 1;
      posted.set(one.id, one);
      return one;
    });
    const isUrgent = random(3) > 0;
    live.append(batch.map((one) => linesOf(one, isUrgent)).join("\n"));
  }

  function endSync(): void {
    nowMs += random(400);
    const error = random(8) === 0 ? Object.assign(new Error("failed"), { code: "EIO" }) : null;
    faulty.running[0]?.end(error);
  }

  function runTimer(): void {
    const next = timers.toSorted((a, b) => a.atMs - b.atMs)[0];
    if (next === undefined) return;
    timers = timers.filter((one) => one !== next);
    nowMs = Math.max(nowMs, next.atMs);
    next.run();
  }

  /** As the shipper does it: the oldest first, once the database has it all. */
  function removeOldest(live: SpoolWriter): void {
    const [oldest, next] = undisturbed(() => listSegments(dir, faulty.disk.list(dir)));
    if (oldest === undefined || next === undefined || next.firstSeq - 1 > ackedSeq) return;
    removedUpTo = Math.max(removedUpTo, next.firstSeq - 1);
    live.remove(oldest.firstSeq);
  }

  function shred(live: SpoolWriter): void {
    shredding.act(live, () => ({
      written: [...posted.values()],
      synced: [...truth].flatMap(([seq, { id }]) => (seq <= ackedSeq ? toPosted(id) : [])),
    }));
  }

  function toPosted(id: number): readonly Told[] {
    const found = posted.get(id);
    return found === undefined ? [] : [found];
  }

  function undisturbed<T>(work: () => T): T {
    const { fault } = faulty;
    faulty.fault = () => undefined;
    try {
      return work();
    } finally {
      faulty.fault = fault;
    }
  }

  function closeAndForget(live: SpoolWriter): void {
    live.close();
    while (faulty.running.length > 0) faulty.running[0]?.end(null);
    writer = undefined;
    timers = [];
    shredding.forget();
    life += 1;
    faulty.crash(random(2) === 0 ? "kill" : "power");
  }

  function crash(): void {
    writer = undefined;
    timers = [];
    shredding.forget();
    life += 1;
    faulty.crash(random(2) === 0 ? "kill" : "power");
  }

  /** Opens, and where a fault or a crash falls into recovery, opens again. */
  function open(): void {
    for (let attempt = 0; attempt < opensMax; attempt += 1) {
      const doomed = random(6) === 0 ? faulty.calls() + 1 + random(20) : Number.POSITIVE_INFINITY;
      const isFaulty = attempt < 3 && random(6) === 0;
      faulty.fault = (_name, call) => {
        if (call >= doomed) return new Gone("gone");
        const error = Object.assign(new Error("injected"), { code: "EIO" });
        return isFaulty && random(12) === 0 ? error : undefined;
      };
      // Recovery may need room for a new segment.
      faulty.capacity = Number.POSITIVE_INFINITY;
      const ownLife = life;
      try {
        writer = openSpoolWriter({
          dir,
          logId: "log-1",
          disk: writerDisk,
          clock: { nowMs: () => 0, monotonicMs: () => nowMs },
          sealer: shredding.sealer(),
          emit: (message) => received(message, ownLife),
          options,
          later: (delayMs, run) => {
            const timer = { atMs: nowMs + delayMs, run };
            timers.push(timer);
            return () => {
              timers = timers.filter((one) => one !== timer);
              return undefined;
            };
          },
        });
        faulty.fault = () => undefined;
        return;
      } catch {
        crash();
      }
    }
    problems.push("the spool could not be opened");
  }

  function received(message: FromSpool, ownLife: number): void {
    if (ownLife !== life) return;
    switch (message.kind) {
      case "opened":
        recoveries += 1;
        checkOpened(message);
        return;
      case "written":
        batch.forEach((one, index) => {
          const seq = message.firstSeq + index;
          told.set(seq, (told.get(seq) ?? new Set()).add(one.id));
          truth.set(seq, one);
        });
        return;
      case "synced":
        if (message.seq < ackedSeq) problems.push(`synced ${message.seq} after ${ackedSeq}`);
        ackedSeq = Math.max(ackedSeq, message.seq);
        return;
      default:
    }
  }

  function checkOpened(opened: FromSpool & { readonly kind: "opened" }): void {
    faulty.fault = () => undefined;
    const stored = readLog(faulty);
    const first = stored[0]?.seq ?? opened.lastSeq + 1;
    if (first > removedUpTo + 1)
      problems.push(`the log begins at ${first}, not ${removedUpTo + 1}`);
    let previous: Stored | undefined;
    for (const one of stored) {
      if (previous !== undefined && one.seq !== previous.seq + 1) {
        problems.push(`after record ${previous.seq} comes ${one.seq}`);
      }
      if (previous !== undefined && one.prev !== previous.leaf) problems.push(`link of ${one.seq}`);
      const known = truth.get(one.seq);
      if (one.seq <= ackedSeq && known?.id !== one.id) {
        problems.push(`acknowledged record ${one.seq} is another one`);
      }
      if (!posted.has(one.id)) problems.push(`nobody appended record ${one.seq}`);
      previous = one;
    }
    const lastSeq = previous?.seq ?? opened.lastSeq;
    if (opened.lastSeq !== lastSeq) problems.push(`opened at ${opened.lastSeq}, stored ${lastSeq}`);
    if (opened.lastSeq < ackedSeq)
      problems.push(`${ackedSeq} was acknowledged, ${lastSeq} is left`);
    if (previous !== undefined && previous.leaf !== opened.lastLeaf) problems.push("the last leaf");
    problems.push(...shredding.check(faulty, posted));
    const alarms = opened.damage.filter(({ kind }) => kind !== "torn");
    if (alarms.length > 0) {
      problems.push(`false alarm: ${JSON.stringify(alarms[0])}`);
    }
    const kept = [...truth].filter(([seq]) => seq < first && seq <= opened.lastSeq);
    truth = new Map([...kept, ...stored.map((one): [number, Told] => [one.seq, one])]);
    const open = openIntentsOf(truth);
    if (JSON.stringify([...opened.openIntents].sort()) !== JSON.stringify([...open].sort())) {
      problems.push(`open intents ${opened.openIntents}, but ${open} are`);
    }
  }

  /** One last life on a sound disk: the log is whole and takes records. */
  function finish(): void {
    crash();
    open();
    append(writer as SpoolWriter);
    for (let turn = 0; turn < 10 && truth.size > 0; turn += 1) {
      while (faulty.running.length > 0) faulty.running[0]?.end(null);
      runTimer();
    }
    const last = Math.max(0, ...truth.keys());
    if (ackedSeq < last) problems.push(`record ${last} was never synced`);
  }
}

function linesOf(one: Told, isUrgent: boolean): string {
  const urgency = isUrgent ? "!" : "";
  const mark: RecordMark = one.isIntent
    ? `${urgency}i`
    : one.closes === undefined
      ? urgency
      : `${urgency}o${one.closes}`;
  const event = one.isIntent ? "call.intent" : "call.outcome";
  const facts = JSON.stringify({ id: one.id, intent: one.closes, text: "x".repeat(one.id % 700) });
  return renderLines(mark, one.pair, {
    body: `"time":1,"event":"${event}","class":"A","facts":${facts}`,
    values: one.pair === 0 ? "{}" : '{"text":"t"}',
  });
}

/** Numbers of intents without an outcome, in order. */
function openIntentsOf(log: ReadonlyMap<number, Told>): number[] {
  const open = new Set<number>();
  for (const [seq, one] of [...log].sort(([a], [b]) => a - b)) {
    if (one.isIntent) open.add(seq);
    if (one.closes !== undefined) open.delete(one.closes);
  }
  return [...open];
}

/** The log as it stands in the files: a segment's content ends where its successor begins. */
function readLog({ disk }: FaultyDisk): readonly Stored[] {
  const segments = listSegments(dir, disk.list(dir));
  return segments.flatMap(({ path }, index) => {
    const nextFirstSeq = segments[index + 1]?.firstSeq ?? Number.POSITIVE_INFINITY;
    const { records } = scanSegment(disk.read(path));
    return records.flatMap((record): Stored[] => {
      const envelope = parseEnvelope(record.envelope);
      if (envelope === undefined || envelope.seq >= nextFirstSeq) return [];
      const { id, intent } = envelope.facts as { readonly id: number; readonly intent?: number };
      const isIntent = envelope.event === "call.intent";
      const { seq, prev } = envelope;
      return [{ id, pair: 0, isIntent, closes: intent, seq, prev, leaf: record.leaf }];
    });
  });
}
