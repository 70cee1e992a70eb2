/**
 * One `subscriptions/listen` that the edge dispatches for legacy sessions: acknowledged in time or given up, what it
 * brings in the words of the older revisions, and whether and when a lost one is worth another. Whose it is, and who
 * is told, is decided by `shared-listens.ts` (list changes) and `subscriptions.ts` (resources).
 */

import { randomInt } from "node:crypto";
import { catalogue } from "../../errors/catalogue.ts";
import { createFault } from "../../errors/fault.ts";
import type { Cancellation } from "../../lib/cancellation.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Reply } from "../../pipeline/incoming.ts";
import { objectMember, readObject, stringMember } from "../../protocol/json-view.ts";
import {
  emptyFilter,
  isEmptyFilter,
  type ListenFilter,
  readListenFilter,
} from "../../protocol/listen-filter.ts";
import { type Caller, type Conversation, toReply } from "../conversation.ts";
import { toLegacyChange, toListen } from "./changes.ts";
import type { SessionClient } from "./to-modern.ts";

/** A session as far as it takes to listen on its behalf. */
export interface ListeningSession extends SessionClient {
  readonly publicId: string;
  /** Undefined = the session has ended. */
  readonly tell: ((text: string) => void) | undefined;
  /** Once it hears of changes: its client as it spoke last, whose credential opens the next listen. */
  caller: Caller | undefined;
}

/** How a listen went. */
export interface Ended {
  readonly reply: Reply;
  /** What it told of; undefined where it was never acknowledged. */
  readonly honoured: ListenFilter | undefined;
  /** Since it was acknowledged; 0 where it was not. */
  readonly lastedMs: number;
}

/** What becomes of a listen. */
export interface ListenEvents {
  /** At most once, before any change. */
  acknowledged(honoured: ListenFilter): void;
  /** The text of a notification. */
  changed(change: string): void;
  /** Once, whoever ended it; nothing else is called from when `end` was aborted. */
  ended(ended: Ended): void;
}

export interface Listening {
  /** Listens as this session's client until `end` is aborted. */
  start(
    caller: Caller,
    session: ListeningSession,
    filter: ListenFilter,
    end: Cancellation,
    events: ListenEvents,
  ): void;
}

/** Longest that a listen may take to be acknowledged. */
const acknowledgeMs = 30_000;
const relistenFirstMs = 1_000;
const relistenMaxMs = 60_000;

export function createListening(deps: {
  readonly conversation: Pick<Conversation, "run">;
  readonly clock: Clock;
}): Listening {
  const { conversation, clock } = deps;
  let started = 0;

  return {
    start(caller, session, filter, end, events) {
      let honoured: ListenFilter | undefined;
      let sinceMs = 0;
      let isOver = false;
      const tooLong = setTimeout(() => {
        end.abort();
        over(toReply(caller, notAcknowledged));
      }, acknowledgeMs);

      function over(reply: Reply): void {
        clearTimeout(tooLong);
        if (isOver) return;
        isOver = true;
        const lastedMs = honoured === undefined ? 0 : clock.monotonicMs() - sinceMs;
        events.ended({ reply, honoured, lastedMs });
      }

      function take(text: string): void {
        if (end.signal.aborted) return;
        const message = readObject(text);
        const method = stringMember(message, "method") ?? "";
        const params = objectMember(message, "params");
        if (method !== "notifications/subscriptions/acknowledged") {
          const change = honoured && toLegacyChange(method, params);
          if (change !== undefined) events.changed(change);
        } else if (honoured === undefined) {
          clearTimeout(tooLong);
          sinceMs = clock.monotonicMs();
          honoured = readListenFilter(params) ?? emptyFilter;
          events.acknowledged(honoured);
        }
      }

      started += 1;
      const message = toListen(session, started, filter);
      const asking = {
        // Its own exchange, not that of the message that happened to open it.
        caller: { ...caller, requestId: undefined, traceparent: undefined },
        era: "legacy",
        received: { message, bytes: message.params?.text.length ?? 0 },
        relay: take,
        sessionId: session.publicId,
      } as const;
      void conversation.run(asking, end.signal).then(over);
    },
  };
}

/**
 * What to do about a listen that ended, after `losses` that came one soon after the other: how many there are now, and the
 * milliseconds before the next is opened. No delay = time mends nothing: it was refused for good, or nothing can change.
 */
export function nextListen(
  { honoured, lastedMs, reply }: Ended,
  losses: number,
): { readonly losses: number; readonly delayMs: number | undefined } {
  const isLast = honoured === undefined ? isForGood(reply) : isEmptyFilter(honoured);
  if (isLast) return { losses: 0, delayMs: undefined };
  const before = lastedMs > relistenMaxMs ? 0 : losses;
  const ceilingMs = Math.min(relistenMaxMs, relistenFirstMs * 2 ** Math.min(before, 16));
  return { losses: before + 1, delayMs: randomInt(ceilingMs / 2, ceilingMs) };
}

function isForGood({ outcome }: Reply): boolean {
  const advice = outcome.kind === "fault" ? catalogue[outcome.fault.name].retry : "after";
  return advice === "no" || advice === "after-login";
}

const notAcknowledged = createFault(
  "upstream-timeout",
  "The subscription was not taken up in time",
);
