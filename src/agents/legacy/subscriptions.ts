/**
 * The changes a legacy session hears of. Inside the gateway that is one `subscriptions/listen` for each session, on its
 * behalf: list changes from when somebody hears them, and the resources it subscribed to. A listen's filter never
 * changes, so a subscription opens a new listen first and closes the old one when the new one is acknowledged.
 */
import { randomInt } from "node:crypto";
import { catalogue } from "../../errors/catalogue.ts";
import { createFault, type Fault } from "../../errors/fault.ts";
import type { Clock } from "../../lib/clock.ts";
import { newId } from "../../lib/id.ts";
import type { Reply } from "../../pipeline/incoming.ts";
import { objectMember, readObject, stringMember } from "../../protocol/json-view.ts";
import {
  emptyFilter,
  isEmptyFilter,
  type ListenFilter,
  readListenFilter,
} from "../../protocol/listen-filter.ts";
import type { McpRequest } from "../../protocol/messages.ts";
import { type Asking, type Caller, type Conversation, toReply } from "../conversation.ts";
import { changesOf, toLegacyChange, toListen } from "./changes.ts";
import type { LegacySession } from "./sessions.ts";

/** What one session hears of, and what it takes to keep hearing. */
export interface SessionListening {
  /** The client as it spoke last: its credential opens the next listen. */
  caller: Caller;
  /** The listen whose events are told; undefined while none is open. */
  open: Listen | undefined;
  /** The resources it is subscribed to. */
  uris: readonly string[];
  /** Filters change one after the other. */
  turn: Promise<unknown>;
  /** Numbers the listens: two may be open at once. */
  lastId: number;
  /** Listens lost one soon after the other, and the wait before the next. */
  losses: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  opening: Opening | undefined;
  isClosed: boolean;
  close(): void;
}

interface Listen {
  readonly end: AbortController;
  readonly honoured: ListenFilter;
  readonly sinceMs: number;
}

/** A listen that is not acknowledged yet, and what the one before it told meanwhile: it may bring that again. */
interface Opening {
  readonly end: AbortController;
  told: Set<string> | undefined;
}

/** Why a listen did not open; undefined = it did. */
type Refusal = Reply | undefined;

export interface Subscriptions {
  /** Listens for list changes on behalf of a session that can be told of them. */
  follow(caller: Caller, session: LegacySession): void;
  /** Works on `resources/subscribe` and `resources/unsubscribe`. */
  change(asking: Asking<McpRequest>, signal: AbortSignal): Promise<Reply>;
}

/** Longest that a listen may take to be acknowledged. */
const acknowledgeMs = 30_000;
const relistenFirstMs = 1_000;
const relistenMaxMs = 60_000;
/** Changes remembered while a listen opens. */
const toldMax = 1_000;
const nothingYet: Promise<unknown> = Promise.resolve();
const emptyResult = { kind: "result", result: readObject("{}") } as const;

export function createSubscriptions(deps: {
  readonly conversation: Pick<Conversation, "run">;
  readonly clock: Clock;
  readonly subscriptionsPerSessionMax: number;
}): Subscriptions {
  const { conversation, clock, subscriptionsPerSessionMax } = deps;

  /** Opens a listen that takes the place of the open one. `wanted` must be honoured. */
  function listen(
    session: LegacySession,
    own: SessionListening,
    uris: readonly string[],
    wanted?: string,
  ): Promise<Refusal> {
    const { promise, resolve } = Promise.withResolvers<Refusal>();
    const { caller } = own;
    const end = new AbortController();
    const opening: Opening = { end, told: undefined };
    let listening: Listen | undefined;
    const tooLong = setTimeout(() => {
      end.abort();
      settle(toReply(caller, notAcknowledged));
    }, acknowledgeMs);
    own.opening = opening;

    function settle(refusal: Refusal): void {
      clearTimeout(tooLong);
      if (own.opening === opening) own.opening = undefined;
      resolve(refusal);
    }

    function acknowledge(honoured: ListenFilter): void {
      if (wanted !== undefined && !honoured.resourceSubscriptions.includes(wanted)) {
        end.abort();
        settle(toReply(caller, notHonoured));
        return;
      }
      listening = { end, honoured, sinceMs: clock.monotonicMs() };
      own.open?.end.abort();
      own.open = listening;
      own.uris = uris;
      // What it held back until now comes next, before anything else runs; the old one may have told it.
      queueMicrotask(() => {
        opening.told = undefined;
      });
      settle(undefined);
    }

    function take(text: string): void {
      if (end.signal.aborted) return;
      const message = readObject(text);
      const method = stringMember(message, "method") ?? "";
      const params = objectMember(message, "params");
      if (method === "notifications/subscriptions/acknowledged") {
        if (listening === undefined) acknowledge(readListenFilter(params) ?? emptyFilter);
        return;
      }
      const change = toLegacyChange(method, params);
      if (listening === undefined || change === undefined || opening.told?.has(change)) return;
      if (own.opening !== undefined) remember(own.opening, change);
      session.tell?.(change);
    }

    own.lastId += 1;
    const message = toListen(session, own.lastId, uris);
    const bytes = message.params?.text.length ?? 0;
    // Its own exchange, not that of the message that happened to open it.
    const asker = { ...caller, requestId: undefined, traceparent: undefined };
    const asking: Asking<McpRequest> = {
      caller: asker,
      era: "legacy",
      received: { message, bytes },
      relay: take,
      session,
    };
    void conversation.run(asking, end.signal).then((reply) => {
      settle(reply);
      if (listening === undefined || own.open !== listening) return;
      own.open = undefined;
      if (clock.monotonicMs() - listening.sinceMs > relistenMaxMs) own.losses = 0;
      if (!isEmptyFilter(listening.honoured)) listenLater(session, own);
    });
    return promise;
  }

  function listenLater(session: LegacySession, own: SessionListening): void {
    if (own.isClosed) return;
    const ceilingMs = Math.min(relistenMaxMs, relistenFirstMs * 2 ** Math.min(own.losses, 16));
    own.losses += 1;
    clearTimeout(own.timer);
    own.timer = setTimeout(() => inTurn(own, () => listenAgain(session, own)), jitter(ceilingMs));
    own.timer.unref();
  }

  /** What changed in between is not known, so all of it is taken for changed. */
  async function listenAgain(session: LegacySession, own: SessionListening): Promise<void> {
    if (isListening(own) || own.isClosed) return;
    const refusal = await listen(session, own, own.uris);
    if (refusal !== undefined) retry(session, own, refusal);
    else if (own.open) for (const change of changesOf(own.open.honoured)) session.tell?.(change);
  }

  /** A refusal that time does not mend leaves the session without change notices. */
  function retry(session: LegacySession, own: SessionListening, { outcome }: Reply): void {
    const advice = outcome.kind === "fault" ? catalogue[outcome.fault.name].retry : "after";
    if (advice !== "no" && advice !== "after-login") listenLater(session, own);
  }

  async function begin(session: LegacySession, own: SessionListening): Promise<void> {
    if (isListening(own) || own.isClosed) return;
    const refusal = await listen(session, own, own.uris);
    if (refusal !== undefined) retry(session, own, refusal);
  }

  async function subscribe(session: LegacySession, own: SessionListening, uri: string) {
    if (own.uris.includes(uri)) return undefined;
    if (own.uris.length >= subscriptionsPerSessionMax) {
      return toReply(own.caller, tooMany(subscriptionsPerSessionMax));
    }
    return listen(session, own, [...own.uris, uri], uri);
  }

  /** Where the smaller listen is refused, the larger one is closed all the same. */
  async function unsubscribe(session: LegacySession, own: SessionListening, uri: string) {
    if (!own.uris.includes(uri)) return undefined;
    const refusal = await listen(session, own, without(own.uris, uri));
    if (refusal !== undefined) {
      own.uris = without(own.uris, uri);
      own.open?.end.abort();
    }
    return undefined;
  }

  return {
    follow(caller, session) {
      session.listening ??= createListening(caller);
      const own = session.listening;
      if (!isListening(own)) void inTurn(own, () => begin(session, own));
    },
    async change(asking, signal) {
      const { caller, session, received } = asking;
      const { method, params } = received.message;
      const uri = params && stringMember(params, "uri");
      if (uri === undefined || session === undefined) return toReply(caller, noUri);
      session.listening ??= createListening(caller);
      const own = session.listening;
      own.caller = caller;
      const work = method === "resources/subscribe" ? subscribe : unsubscribe;
      const refusal = await inTurn(own, async () =>
        signal.aborted || own.isClosed ? undefined : work(session, own, uri),
      );
      if (refusal === undefined) return done(caller);
      // A listen that ended with a result honoured nothing.
      return refusal.outcome.kind === "result" ? toReply(caller, notHonoured) : refusal;
    },
  };
}

/** Runs after everything that waits for its turn; what one does does not stop the next. */
function inTurn<T>(own: SessionListening, work: () => Promise<T>): Promise<T> {
  const mine = own.turn.then(work);
  own.turn = mine.catch(() => {});
  return mine;
}

function createListening(caller: Caller): SessionListening {
  const own: SessionListening = {
    caller,
    open: undefined,
    opening: undefined,
    uris: [],
    turn: nothingYet,
    lastId: 0,
    losses: 0,
    timer: undefined,
    isClosed: false,
    close() {
      own.isClosed = true;
      clearTimeout(own.timer);
      own.opening?.end.abort();
      own.open?.end.abort();
    },
  };
  return own;
}

function done(caller: Caller): Reply {
  return { outcome: emptyResult, requestId: caller.requestId ?? newId(), limit: undefined };
}

function remember(opening: Opening, change: string): void {
  opening.told ??= new Set();
  if (opening.told.size < toldMax) opening.told.add(change);
}

function isListening(own: SessionListening): boolean {
  return own.open !== undefined;
}

function without(uris: readonly string[], uri: string): readonly string[] {
  return uris.filter((one) => one !== uri);
}

function jitter(ceilingMs: number): number {
  return randomInt(ceilingMs / 2, ceilingMs);
}

const noUri = createFault("invalid-params", "Invalid params: uri must be a string");
const notHonoured = createFault(
  "invalid-params",
  "Invalid params: no server tells of changes to this resource",
);
const notAcknowledged = createFault(
  "upstream-timeout",
  "The subscription was not taken up in time",
);

function tooMany(most: number): Fault {
  const message = `Invalid params: a session is subscribed to at most ${most} resources`;
  return createFault("invalid-params", message);
}
