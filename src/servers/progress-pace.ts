/**
 * Progress on its way to one agent, at a pace a reader can use: a short burst as it comes, then the latest of what came
 * in each tenth of a second; what went backwards is dropped (PR-20). `server-client.ts` makes one for a call whose agent
 * wants progress. It sets a timer only where a server exceeds the pace.
 */
import type { Clock } from "../lib/clock.ts";
import { memberText } from "../protocol/json-view.ts";
import type { RelayedMessage } from "../protocol/messages.ts";

export interface ProgressPace {
  relay(message: RelayedMessage): void;
  /** The call is over: what waits is told now, before the answer. */
  end(): void;
}

/** So many at once, and then one for each interval. */
export const progressBurst = 10;
export const progressIntervalMs = 100;

export function paceProgress(options: {
  readonly relay: (message: RelayedMessage) => void;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Called for each that the agent does not get. */
  readonly countDropped: () => void;
}): ProgressPace {
  const { relay, clock } = options;
  let newest = Number.NEGATIVE_INFINITY;
  let held: RelayedMessage | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** When the burst is whole again; each that is told moves it by an interval. */
  let wholeAtMs = 0;

  function tell(message: RelayedMessage, nowMs: number): void {
    wholeAtMs = Math.max(wholeAtMs, nowMs) + progressIntervalMs;
    relay(message);
  }

  function tellHeld(): void {
    clearTimeout(timer);
    timer = undefined;
    if (held === undefined) return;
    const message = held;
    held = undefined;
    tell(message, clock.monotonicMs());
  }

  return {
    relay(message) {
      if (message.method !== "notifications/progress") {
        relay(message);
        return;
      }
      const progress = Number(memberText(message.params, "progress"));
      if (progress < newest) {
        options.countDropped();
        return;
      }
      newest = progress;
      const nowMs = clock.monotonicMs();
      const waitMs = wholeAtMs - nowMs - (progressBurst - 1) * progressIntervalMs;
      if (waitMs <= 0 && held === undefined) {
        tell(message, nowMs);
        return;
      }
      if (held !== undefined) options.countDropped();
      held = message;
      timer ??= setTimeout(tellHeld, Math.max(1, waitMs));
    },
    end: tellHeld,
  };
}
