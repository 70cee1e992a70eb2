/**
 * Recomputes the log while the gateway runs, at a bounded rate and on a thread of its own (ST-06, ST-14): the newest
 * records in laps of less than a minute, all others in longer ones, each lap from the first record on also up to the
 * signed root. What is wrong at a second look too is said once, healed where another copy is sound, and stays counted
 * until it is.
 */

import type { Clock } from "../../lib/clock.ts";
import { createPause } from "../../lib/pause.ts";
import type { AuditStore } from "../../storage/store.ts";
import { createRightEdge, isSame, type RightEdge } from "../evidence/tree.ts";
import { createSpoolReader } from "../spool/reader.ts";
import { type Finding, type FindingPlace, type FindingRange, keyOf, toRanges } from "./finding.ts";
import { type Healed, heal } from "./heal.ts";
import { type Look, lookAt, type MonitoredTree, type Progress } from "./look.ts";
import { createLawfulAbsence } from "./orders.ts";

export interface MonitorOptions {
  readonly recordsPerSecond: number;
  /** A lap over few records takes this long all the same. */
  readonly lapMinMs: number;
  /** How long after the first look the second one is. */
  readonly secondLookMs: number;
}

export const defaultMonitorOptions: MonitorOptions = {
  recordsPerSecond: 1_000,
  lapMinMs: 10_000,
  secondLookMs: 2_000,
};

export interface MonitorDeps {
  readonly logId: string;
  readonly spoolDir: string;
  readonly store: Pick<AuditStore, "scan" | "head" | "replace">;
  /** Undefined before the first checkpoint. Throws where it cannot be read. */
  readonly openTree: () => MonitoredTree | undefined;
  readonly clock: Clock;
  readonly options: MonitorOptions;
  readonly found: (range: FindingRange) => void;
  readonly healed: (what: Healed) => void;
  /** Something kept it from looking; it goes on. */
  readonly failed: (reason: string) => void;
}

export interface Monitor {
  advance(progress: Progress): void;
  /** Records that are wrong at the moment, by place. */
  open(): Readonly<Record<FindingPlace, number>>;
  /** Laps over the newest records that were finished. */
  laps(): number;
  stop(): Promise<void>;
}

const pageRecords = 500;
/** A lap over the newest records takes this long at the given rate, of which half goes to the others. */
const recentSeconds = 40;
/** Findings remembered; more are one finding: that nothing can be believed. */
const openMax = 10_000;
const insertedMax = 100;

interface Lap {
  next: number;
  readonly end: number;
  /** For a lap from the first record on, if a checkpoint is there to compare its end with. */
  readonly edge: RightEdge | undefined;
  readonly tree: MonitoredTree | undefined;
}

export function startMonitor(deps: MonitorDeps): Monitor {
  const { clock, options } = deps;
  const reader = createSpoolReader(deps.spoolDir);
  const absence = createLawfulAbsence(deps.store, deps.logId);
  const looking = { ...deps, reader, absence };
  const open = new Map<string, Finding>();
  let progress: Progress = { syncedSeq: 0, shippedSeq: 0 };
  let laps = 0;
  let isStopped = false;
  const waiting = createPause();
  const running = run();

  return {
    advance(given) {
      progress = given;
    },
    open: () => {
      const counts = { database: 0, spool: 0, tree: 0 };
      for (const { place } of open.values()) counts[place] += 1;
      return counts;
    },
    laps: () => laps,
    async stop() {
      isStopped = true;
      waiting.end();
      await running;
    },
  };

  async function run(): Promise<void> {
    let recent: Lap | undefined;
    let rolling: Lap | undefined;
    let startedMs = clock.monotonicMs();
    while (!isStopped) {
      try {
        recent ??= startLap(recentFrom());
        await step(recent);
        if (recentFrom() > 1) {
          rolling ??= startLap(1);
          await step(rolling);
          if (rolling.next > rolling.end) rolling = undefined;
        }
        if (recent.next <= recent.end) continue;
        await lookBeyond();
        laps += 1;
      } catch (error) {
        deps.failed(error instanceof Error ? error.message : String(error));
      }
      recent = undefined;
      await pause(options.lapMinMs - (clock.monotonicMs() - startedMs));
      startedMs = clock.monotonicMs();
    }
  }

  function recentFrom(): number {
    const window = (options.recordsPerSecond * recentSeconds) / 2;
    return Math.max(1, progress.syncedSeq - window + 1);
  }

  function startLap(from: number): Lap {
    const tree = deps.openTree();
    const edge = from === 1 && tree !== undefined ? createRightEdge() : undefined;
    return { next: from, end: progress.syncedSeq, edge, tree };
  }

  async function step(lap: Lap): Promise<void> {
    if (lap.next > lap.end) return;
    const from = lap.next;
    const to = Math.min(lap.end, from + pageRecords - 1);
    await examine(from, to);
    extend(lap, from, to);
    lap.next = to + 1;
    await pause(((to - from + 1) / options.recordsPerSecond) * 1000);
  }

  async function examine(from: number, to: number): Promise<void> {
    const first = await look(from, to);
    let confirmed: readonly Finding[] = [];
    let second: Look = first;
    if (first.findings.length > 0) {
      await pause(options.secondLookMs);
      second = await look(from, to);
      const before = new Set(first.findings.map(keyOf));
      confirmed = second.findings.filter((finding) => before.has(keyOf(finding)));
    }
    const fresh = settle(confirmed, from, to);
    for (const range of toRanges(fresh)) deps.found(range);
    if (confirmed.length > 0 && !isStopped) await mend(confirmed, second, from, to);
  }

  /** Forgets what is right again, remembers what is wrong, and returns what was not known. */
  function settle(confirmed: readonly Finding[], from: number, to: number): readonly Finding[] {
    const keys = new Set(confirmed.map(keyOf));
    for (const [key, { seq, kind }] of open) {
      const isHere = seq >= from && seq <= to && kind !== "root";
      if (isHere && !keys.has(key)) open.delete(key);
    }
    return confirmed.filter(remember);
  }

  function remember(finding: Finding): boolean {
    const key = keyOf(finding);
    if (open.has(key) || open.size >= openMax) return false;
    open.set(key, finding);
    return true;
  }

  async function mend(confirmed: readonly Finding[], seen: Look, from: number, to: number) {
    const healed = await heal(looking, confirmed, seen.page, deps.openTree());
    if (healed.length === 0) return;
    for (const what of healed) deps.healed(what);
    settle((await look(from, to)).findings, from, to);
  }

  function look(from: number, to: number): Promise<Look> {
    return lookAt(looking, from, to, deps.openTree(), progress);
  }

  /** Adds the page's leaves to the lap's own tree, which at its end must have the signed root. */
  function extend({ edge, tree }: Lap, from: number, to: number): void {
    if (edge === undefined || tree === undefined || edge.size() >= tree.size) return;
    for (const leaf of tree.leaves(from, Math.min(to, tree.size))) {
      edge.append(Buffer.from(leaf, "hex"));
    }
    if (edge.size() < tree.size) return;
    const finding = { place: "tree", kind: "root", seq: tree.size } as const;
    for (const [key, { kind }] of open) if (kind === "root") open.delete(key);
    if (isSame(edge.root(), tree.root)) return;
    if (remember(finding)) deps.found({ ...finding, from: 1, to: tree.size });
  }

  /** Rows after the last record this log ever had. */
  async function lookBeyond(): Promise<void> {
    const { logId, store } = deps;
    const head = await store.head(logId).catch(() => undefined);
    if (head === undefined) return;
    // The head may be ahead of what this thread was told so far.
    if (head.seq > progress.syncedSeq) await pause(options.secondLookMs);
    for (const [key, { kind, seq }] of open) {
      if (kind === "inserted" && (seq > head.seq || seq <= progress.syncedSeq)) open.delete(key);
    }
    const to = Math.min(head.seq, progress.syncedSeq + insertedMax);
    const inserted: Finding[] = [];
    for (let seq = progress.syncedSeq + 1; seq <= to; seq += 1) {
      inserted.push({ place: "database", kind: "inserted", seq });
    }
    for (const range of toRanges(inserted.filter(remember))) deps.found(range);
  }

  function pause(delayMs: number): Promise<void> {
    if (isStopped || delayMs <= 0) return Promise.resolve();
    return waiting.wait(delayMs);
  }
}
