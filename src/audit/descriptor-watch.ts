/**
 * Notices that the process has no file descriptor left and says so on the record, and again when there are some (ST-20):
 * without one no connection is accepted and no copy is made, which from outside looks like a gateway that hangs. The one
 * sure way to know is to open something. Started by `log.ts`.
 */
import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { RecordDraft } from "./record.ts";

export interface DescriptorWatchDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly record: (draft: RecordDraft) => void;
  /** Takes a descriptor and gives it back; throws the system's error where there is none. */
  readonly probe?: () => void;
  readonly tickMs?: number;
}

const defaultTickMs = 1_000;
/** While connections wait to be accepted, a descriptor that is free now and then is no end of it. */
const freeTicksMin = 5;
const exhausted: readonly unknown[] = ["EMFILE", "ENFILE"];

/** Returns a stop function. */
export function watchDescriptors(deps: DescriptorWatchDeps): () => void {
  const { clock, log, record, probe = openNull, tickMs = defaultTickMs } = deps;
  let goneSinceMs: number | undefined;
  let freeTicks = 0;
  const timer = setInterval(tick, tickMs);
  timer.unref();
  return () => clearInterval(timer);

  function tick(): void {
    const reason = reasonNow();
    freeTicks = reason === undefined ? freeTicks + 1 : 0;
    if (reason !== undefined && goneSinceMs === undefined) {
      goneSinceMs = clock.monotonicMs();
      log.error("overload.fd", { reason, advice: "Nobody new is let in; raise LimitNOFILE." });
      record(render({ state: "none", reason }));
    } else if (goneSinceMs !== undefined && freeTicks >= freeTicksMin) {
      const goneMs = Math.round(clock.monotonicMs() - goneSinceMs);
      goneSinceMs = undefined;
      log.info("overload.fd_over", { goneMs });
      record(render({ state: "free", goneMs }));
    }
  }

  function reasonNow(): string | undefined {
    try {
      probe();
      return undefined;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return exhausted.includes(code) ? code : undefined;
    }
  }

  function render(facts: RecordDraft["facts"]): RecordDraft {
    return { event: "overload.fd", class: "B", timeMs: clock.nowMs(), facts, details: {} };
  }
}

function openNull(): void {
  closeSync(openSync(devNull, "r"));
}
