/**
 * Erasing a person, or a data class of one month: the key is destroyed at once, and from then on nothing sealed under it
 * can be read by anybody; what is left of the records is swept up afterwards (`sweep.ts`). The order of steps makes a
 * crash anywhere safe: the sweep is noted, the key destroyed, the log told, the rows and the spool emptied, the
 * sweep struck out; and whoever comes next goes on with what is noted. Called by `KeyService.DestroyKeys`, and to be
 * called by whoever decides on erasure requests; decides nothing about who may be erased.
 */
import type { Clock } from "../lib/clock.ts";
import type { AuditStore } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Sweep, SweepStore } from "../vault/sweeps.ts";
import { checkErasures } from "./erasure-check.ts";
import { type ErasureTarget, needPastMonth, searchOf } from "./erasure-target.ts";
import { orderedRowsMax, type Verifying } from "./orders.ts";
import { createSweeper, type SweptLog } from "./sweep.ts";

/** The key vault as far as erasure needs it. */
export interface ErasureVault {
  /** Ids of the target's keys that are not destroyed. */
  keysOf(target: ErasureTarget): Promise<readonly string[]>;
  /** What a principal may stand as in the copy's columns. */
  tokensOf(principal: string): Promise<readonly string[]>;
  /** Destroys for good and forgets; returns the ids that this call destroyed. */
  destroy(ids: readonly string[]): Promise<readonly string[]>;
  /** Drops keys from memory, here and in the spool's thread. */
  forget(ids: readonly string[]): void;
  /** Which of these keys are there and not destroyed. */
  liveAmong(ids: readonly string[]): Promise<readonly string[]>;
  readonly sweeps: SweepStore;
}

export interface ErasureOptions {
  /** So many erased subjects are swept together; fewer wait. */
  readonly mixSubjects: number;
  /** The longest any of them waits. */
  readonly mixWaitMs: number;
  /** How often it is looked for what other nodes, or a crash, left to do. */
  readonly pollMs: number;
}

export const defaultErasureOptions: ErasureOptions = {
  mixSubjects: 5,
  mixWaitMs: 24 * 60 * 60 * 1000,
  pollMs: 5_000,
};

export interface ErasureDeps {
  readonly vault: ErasureVault;
  readonly store: AuditStore;
  readonly audit: SweptLog;
  readonly verifying: Verifying;
  /** Drops the replies cached for a target; undefined = somebody whom only another node knows, so all of them. */
  readonly purgeReplies: (target: ErasureTarget | undefined) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count">;
  readonly options?: ErasureOptions;
}

export interface ErasureRequest {
  readonly target: ErasureTarget;
  /** Who asked, and why; sealed in the record. */
  readonly by: string;
  readonly reason: string;
  /** Sweeps now, though the order will then show which records were one subject's. */
  readonly isUrgent: boolean;
  readonly validateOnly: boolean;
}

export interface ErasureResult {
  /** Keys destroyed by this call, or that would be. */
  readonly keys: number;
  /** Records in the database that can be read no more. */
  readonly records: number;
  /** When what is left of them is swept at the latest; undefined where nothing is. */
  readonly sweepDueAtMs: number | undefined;
}

export interface Erasure {
  /** Resolves once the keys are destroyed and the log says so. May be repeated. */
  destroy(request: ErasureRequest): Promise<ErasureResult>;
  /** Goes on with what is noted; what cannot be done now is left for the next time. */
  run(): Promise<void>;
  /** Sweeps noted and not finished, as of the last look; the first was before this was made. */
  pending(): number;
  start(): void;
  /** Stops after the batch under way. */
  stop(): Promise<void>;
}

/** A node not seen for so long leaves its rows to the others. */
const aliveMs = 10 * 60_000;
/** A node not seen for so long is not waited for: nothing is struck out before it swept its spool. */
const knownMs = 7 * 24 * 60 * 60 * 1000;
/** Sweeps read at once. */
const sweepsPerPage = 1_000;

/** Rejects where the vault cannot be asked what is left to do. */
export async function createErasure(deps: ErasureDeps): Promise<Erasure> {
  const { vault, store, audit, clock, log, metrics } = deps;
  const options = deps.options ?? defaultErasureOptions;
  const { sweeps } = vault;
  let isStopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> = Promise.resolve();
  let pending = (await listNoted()).length;
  let isChecked = false;
  /** Keys whose values are forgotten on this node. */
  let forgotten: ReadonlySet<string> = new Set();
  /** Keys that a call of `destroy` is at. */
  const inHand = new Set<string>();
  const sweep = createSweeper({
    ...{ store, log: audit, clock, metrics, verifying: deps.verifying },
    batchMax: orderedRowsMax,
    isStopped: () => isStopped,
  });

  async function destroy(request: ErasureRequest): Promise<ErasureResult> {
    const { target, validateOnly, isUrgent } = request;
    if (target.kind === "class") needPastMonth(target.month, clock.nowMs());
    const keys = await vault.keysOf(target);
    const search = searchOf(target, await tokensOf(target));
    const records = await countRecords(target, keys, search);
    if (validateOnly || keys.length === 0) {
      return { keys: keys.length, records, sweepDueAtMs: undefined };
    }
    const orderedAtMs = clock.nowMs();
    const noted = keys.map((key) => ({ key, ...search, orderedAtMs, isUrgent, isRecorded: false }));
    for (const key of keys) inHand.add(key);
    try {
      await sweeps.put(noted);
      await vault.destroy(keys);
      deps.purgeReplies(target);
      forgotten = new Set([...forgotten, ...keys]);
      await tell(noted, { principal: request.by, reason: request.reason });
    } finally {
      for (const key of keys) inHand.delete(key);
    }
    pending += noted.length;
    const isAtOnce = isUrgent || target.kind === "class";
    if (isAtOnce) void run();
    const waitMs = isAtOnce ? 0 : options.mixWaitMs;
    return { keys: keys.length, records, sweepDueAtMs: orderedAtMs + waitMs };
  }

  async function tokensOf(target: ErasureTarget): Promise<readonly string[]> {
    return target.kind === "subject" ? await vault.tokensOf(target.principal) : [];
  }

  /** The database may be away; keys are destroyed all the same. */
  async function countRecords(
    target: ErasureTarget,
    keys: readonly string[],
    { principals, fromMs, untilMs }: ReturnType<typeof searchOf>,
  ): Promise<number> {
    if (keys.length === 0) return 0;
    const range = {
      ...(fromMs === null ? {} : { fromMs }),
      ...(untilMs === null ? {} : { untilMs }),
    };
    const counting = store.countSealed({
      ...{ keys, of: target.kind },
      ...(principals === null ? {} : { principals }),
      ...range,
    });
    return await counting.catch((cause: unknown) => {
      log.warn("erasure.not_counted", { reason: String(cause) });
      return 0;
    });
  }

  /** Each key has a record of its own: a stranger can hold the vault against the log. */
  async function tell(
    destroyed: readonly Sweep[],
    details: Readonly<Record<string, string>>,
  ): Promise<void> {
    for (const { key, purpose, tenant, label } of destroyed) {
      const facts = {
        ...{ key, purpose, status: "ok" },
        ...(tenant === "" ? {} : { tenant }),
        ...(label === "" ? {} : { label }),
      };
      const own = { event: "keys.destroyed", class: "A", timeMs: clock.nowMs() } as const;
      await audit.append({ ...own, facts, details }, "synced");
      metrics.count("mcp_gateway_keys_destroyed_total", { purpose });
    }
    await sweeps.put(destroyed.map((one) => ({ ...one, isRecorded: true })));
    await scrub();
  }

  /** What lay in the vault's files is written over; should that fail, the keys are destroyed all the same. */
  async function scrub(): Promise<void> {
    await sweeps.scrub().catch((cause: unknown) => {
      log.warn("erasure.not_scrubbed", { reason: String(cause) });
    });
  }

  function run(): Promise<void> {
    running = running.then(runOnce).catch((cause: unknown) => {
      log.warn("erasure.not_finished", { reason: String(cause) });
    });
    return running;
  }

  async function runOnce(): Promise<void> {
    if (isStopped) return;
    await checkOnce();
    const { logId } = audit.status();
    const nowMs = clock.nowMs();
    const since = { liveSinceMs: nowMs - aliveMs, knownSinceMs: nowMs - knownMs };
    const otherLogs = await sweeps.noteAlive(logId, nowMs, since);
    const noted = await listNoted();
    pending = noted.length;
    if (noted.length === 0) return;
    const keys = noted.map((one) => one.key);
    // Another node ordered it, or a crash came between: now nothing is sealed under it here either.
    vault.forget(keys);
    if (keys.some((key) => !forgotten.has(key))) deps.purgeReplies(undefined);
    forgotten = new Set(keys);
    const unrecorded = noted.filter((one) => !one.isRecorded && !inHand.has(one.key));
    if (unrecorded.length > 0) {
      await vault.destroy(unrecorded.map((one) => one.key));
      await tell(unrecorded, {});
    }
    const own = await sweeps.sweptBy(keys, logId);
    const due = chooseDue(
      noted.filter((one) => !own.includes(one.key)),
      nowMs,
      options,
    );
    if (due.length > 0) {
      const records = await sweep(due, otherLogs);
      log.info("erasure.swept", { keys: due.length, records });
    }
    // Those swept before as well: a crash, or another node, may have left them to be struck out.
    const done = await sweeps.swept([...own, ...due.map((one) => one.key)], logId);
    if (done.length === 0) return;
    await sweeps.remove(done);
    await scrub();
    pending -= done.length;
  }

  /** All of them: those that wait for another node keep no others from their turn. */
  async function listNoted(): Promise<readonly Sweep[]> {
    const noted: Sweep[] = [];
    let page: readonly Sweep[];
    do {
      page = await sweeps.list(sweepsPerPage, noted.at(-1)?.key ?? "");
      noted.push(...page);
    } while (page.length === sweepsPerPage);
    return noted;
  }

  /** After each start; later again where the database was away. */
  async function checkOnce(): Promise<void> {
    if (isChecked) return;
    try {
      await checkErasures({ store, vault, audit, clock, log });
      isChecked = true;
    } catch (error) {
      log.warn("erasure.not_checked", { reason: String(error) });
    }
  }

  function schedule(): void {
    if (isStopped) return;
    timer = setTimeout(() => void run().then(schedule), options.pollMs);
    timer.unref();
  }

  return {
    destroy,
    run,
    pending: () => pending,
    start() {
      isStopped = false;
      void run().then(schedule);
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/** A class is swept at once; subjects wait until an order no longer shows whose records were whose. */
export function chooseDue(
  noted: readonly Sweep[],
  nowMs: number,
  { mixSubjects, mixWaitMs }: ErasureOptions,
): readonly Sweep[] {
  const subjects = noted.filter((one) => one.purpose === "subject");
  const isDue =
    subjects.length >= mixSubjects ||
    subjects.some((one) => one.isUrgent || nowMs - one.orderedAtMs >= mixWaitMs);
  return isDue ? noted : noted.filter((one) => one.purpose === "class");
}
