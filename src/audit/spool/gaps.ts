/**
 * What the log owes: records that were dropped or that the disk refused, told in a gap record as soon as it takes
 * records again, and the outcomes among them, made good. Tries a failing disk by itself, because a gateway that says
 * it is not ready is sent no call to find out with. Used by `spool.ts`.
 */
import type { Clock } from "../../lib/clock.ts";
import type { DurabilityLevel, RecordDraft } from "../record.ts";

export interface SpoolGaps {
  /** A record of class C was not taken. */
  noteDropped(): void;
  /** The disk refused these. `areLost`: they will not stand in the log unless they are appended again. */
  noteRefused(drafts: readonly RecordDraft[], reason: string, areLost: boolean): void;
  /** The disk took records. */
  noteTaken(): void;
  /** Tells of dropped records that were not told of yet. */
  reportDropped(): void;
  dropped(): number;
  stop(): void;
}

export function createSpoolGaps(deps: {
  readonly clock: Clock;
  readonly probeIntervalMs: number;
  readonly append: (draft: RecordDraft, level: DurabilityLevel) => Promise<unknown>;
}): SpoolGaps {
  const { clock, append } = deps;
  let dropped = 0;
  let droppedTold = 0;
  let refused = 0;
  let reason = "";
  let isFailing = false;
  let isStopped = false;
  let probeTimer: ReturnType<typeof setTimeout> | undefined;
  /** Outcomes of calls that were made. Never more than there were calls in flight. */
  const owed: RecordDraft[] = [];

  function noteRefused(drafts: readonly RecordDraft[], why: string, areLost: boolean): void {
    refused += drafts.filter((draft) => draft.event !== "audit.gap").length;
    reason = why;
    if (areLost) {
      isFailing = true;
      owed.push(...drafts.filter(closesIntent));
    }
    probeTimer ??= setTimeout(probe, deps.probeIntervalMs);
  }

  function noteTaken(): void {
    if (!isFailing) return;
    isFailing = false;
    clearTimeout(probeTimer);
    queueMicrotask(probe);
  }

  function probe(): void {
    probeTimer = undefined;
    if (refused === 0 || isStopped) return;
    const told = refused;
    append(renderGap("A", { unwritten: told, reason }), "written").then(
      () => {
        refused -= told;
        for (const draft of owed.splice(0)) append(draft, "queued").catch(ignore);
      },
      () => {
        probeTimer ??= setTimeout(probe, deps.probeIntervalMs);
      },
    );
  }

  function reportDropped(): void {
    if (dropped === droppedTold || isStopped) return;
    const told = dropped;
    append(renderGap("B", { dropped: told - droppedTold }), "queued").then(() => {
      droppedTold = told;
    }, ignore);
  }

  function renderGap(recordClass: "A" | "B", facts: RecordDraft["facts"]): RecordDraft {
    return { event: "audit.gap", class: recordClass, timeMs: clock.nowMs(), facts, details: {} };
  }

  return {
    noteDropped: () => {
      dropped += 1;
    },
    noteRefused,
    noteTaken,
    reportDropped,
    dropped: () => dropped,
    stop: () => {
      isStopped = true;
      clearTimeout(probeTimer);
    },
  };
}

/** Whether this is the outcome of a call that was made. */
export function closesIntent(draft: RecordDraft): boolean {
  return draft.event === "call.outcome" && draft.facts.intent !== undefined;
}

function ignore(): void {}
