/**
 * The resources that a legacy session subscribed to: one `subscriptions/listen` of its own, for their URIs alone, from
 * the first subscription to the last. A listen's filter never changes, so a further subscription opens a new listen
 * first and ends the old one when the new one is acknowledged. List changes are in `shared-listens.ts`.
 */

import { createFault, type Fault } from "../../errors/fault.ts";
import { Cancellation, type CancelSignal } from "../../lib/cancellation.ts";
import { newId } from "../../lib/id.ts";
import type { Reply } from "../../pipeline/incoming.ts";
import { readObject, stringMember } from "../../protocol/json-view.ts";
import { emptyFilter, type ListenFilter } from "../../protocol/listen-filter.ts";
import type { McpRequest } from "../../protocol/messages.ts";
import { type Asking, type Caller, toReply } from "../conversation.ts";
import { changesOf } from "./changes.ts";
import { type Ended, type Listening, type ListeningSession, nextListen } from "./listening.ts";

/** A session that may subscribe to resources. */
export interface SubscribingSession extends ListeningSession {
  /** What it subscribed to; undefined until it did. */
  subscriptions: SessionSubscriptions | undefined;
}

/** What one session subscribed to, and what it takes to keep hearing of it. */
interface SessionSubscriptions {
  uris: readonly string[];
  /** Ends the listen whose events are told; undefined while none is acknowledged. */
  open: Cancellation | undefined;
  opening: Opening | undefined;
  /** Updates may have been missed: all resources are taken for changed when the next listen is there. */
  hasMissed: boolean;
  /** Filters change one after the other. */
  turn: Promise<unknown>;
  /** Listens lost one soon after the other, and the wait before the next. */
  losses: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  isClosed: boolean;
  close(): void;
}

/** A listen that is not acknowledged yet, and what the one before it told meanwhile: it may bring that again. */
interface Opening {
  readonly end: Cancellation;
  told: Set<string> | undefined;
}

/** Why a listen did not open; undefined = it did. */
type Refusal = Reply | undefined;

export interface Subscriptions {
  /** Works on `resources/subscribe` and `resources/unsubscribe`. */
  change(
    session: SubscribingSession,
    asking: Asking<McpRequest>,
    signal: CancelSignal,
  ): Promise<Reply>;
}

/** Changes remembered while a listen opens. */
const toldMax = 1_000;
const nothingYet: Promise<unknown> = Promise.resolve();
const emptyResult = { kind: "result", result: readObject("{}") } as const;

export function createSubscriptions(deps: {
  readonly listening: Listening;
  readonly subscriptionsPerSessionMax: number;
}): Subscriptions {
  const { listening, subscriptionsPerSessionMax } = deps;

  /** Opens a listen that takes the place of the open one. `wanted` must be honoured. */
  function listen(
    caller: Caller,
    session: SubscribingSession,
    own: SessionSubscriptions,
    uris: readonly string[],
    wanted?: string,
  ): Promise<Refusal> {
    const { promise, resolve } = Promise.withResolvers<Refusal>();
    const end = new Cancellation();
    const opening: Opening = { end, told: undefined };
    own.opening = opening;

    function settle(refusal: Refusal): void {
      if (own.opening === opening) own.opening = undefined;
      resolve(refusal);
    }

    listening.start(caller, session, toFilter(uris), end, {
      acknowledged(honoured) {
        if (wanted !== undefined && !honoured.resourceSubscriptions.includes(wanted)) {
          end.abort();
          settle(toReply(caller, notHonoured));
          return;
        }
        own.open?.abort();
        own.open = end;
        tellMissed(session, own, honoured);
        own.uris = uris;
        // What it held back until now comes next, before anything else runs; the old one may have told it.
        queueMicrotask(() => {
          opening.told = undefined;
        });
        settle(undefined);
      },
      changed(change) {
        if (opening.told?.has(change)) return;
        if (own.opening !== undefined) remember(own.opening, change);
        session.tell?.(change);
      },
      ended(ended) {
        settle(ended.reply);
        if (own.open !== end) return;
        own.open = undefined;
        own.hasMissed = true;
        listenLater(session, own, ended);
      },
    });
    return promise;
  }

  function listenLater(session: SubscribingSession, own: SessionSubscriptions, ended: Ended): void {
    const { losses, delayMs } = nextListen(ended, own.losses);
    own.losses = losses;
    if (delayMs === undefined || own.isClosed) return;
    clearTimeout(own.timer);
    own.timer = setTimeout(() => inTurn(own, () => listenAgain(session, own)), delayMs);
    own.timer.unref();
  }

  async function listenAgain(
    session: SubscribingSession,
    own: SessionSubscriptions,
  ): Promise<void> {
    if (own.open !== undefined || own.isClosed || own.uris.length === 0) return;
    const { caller } = session;
    if (caller === undefined) return;
    const refusal = await listen(caller, session, own, own.uris);
    if (refusal === undefined) return;
    listenLater(session, own, { reply: refusal, honoured: undefined, lastedMs: 0 });
  }

  async function subscribe(
    caller: Caller,
    session: SubscribingSession,
    own: SessionSubscriptions,
    uri: string,
  ): Promise<Refusal> {
    if (own.uris.includes(uri)) return undefined;
    if (own.uris.length >= subscriptionsPerSessionMax) {
      return toReply(caller, tooMany(subscriptionsPerSessionMax));
    }
    return listen(caller, session, own, [...own.uris, uri], uri);
  }

  /** Where the smaller listen is refused, the larger one is closed all the same. */
  async function unsubscribe(
    caller: Caller,
    session: SubscribingSession,
    own: SessionSubscriptions,
    uri: string,
  ): Promise<Refusal> {
    if (!own.uris.includes(uri)) return undefined;
    const uris = own.uris.filter((one) => one !== uri);
    const refusal = uris.length === 0 ? undefined : await listen(caller, session, own, uris);
    if (refusal === undefined && uris.length > 0) return undefined;
    own.uris = uris;
    own.open?.abort();
    own.open = undefined;
    if (refusal !== undefined) {
      own.hasMissed = true;
      listenLater(session, own, { reply: refusal, honoured: undefined, lastedMs: 0 });
    }
    return undefined;
  }

  return {
    async change(session, asking, signal) {
      const { caller, received } = asking;
      const { method, params } = received.message;
      const uri = params && stringMember(params, "uri");
      if (uri === undefined) return toReply(caller, noUri);
      session.caller = caller;
      session.subscriptions ??= createSessionSubscriptions();
      const own = session.subscriptions;
      const work = method === "resources/subscribe" ? subscribe : unsubscribe;
      const refusal = await inTurn(own, async () =>
        signal.aborted || own.isClosed ? undefined : work(caller, session, own, uri),
      );
      if (refusal === undefined) return done(caller);
      // A listen that ended with a result honoured nothing.
      return refusal.outcome.kind === "result" ? toReply(caller, notHonoured) : refusal;
    },
  };
}

/** Runs after everything that waits for its turn; what one does does not stop the next. */
function inTurn<T>(own: SessionSubscriptions, work: () => Promise<T>): Promise<T> {
  const mine = own.turn.then(work);
  own.turn = mine.catch(() => {});
  return mine;
}

function createSessionSubscriptions(): SessionSubscriptions {
  const own: SessionSubscriptions = {
    uris: [],
    open: undefined,
    opening: undefined,
    hasMissed: false,
    turn: nothingYet,
    losses: 0,
    timer: undefined,
    isClosed: false,
    close() {
      own.isClosed = true;
      clearTimeout(own.timer);
      own.opening?.end.abort();
      own.open?.abort();
    },
  };
  return own;
}

function toFilter(uris: readonly string[]): ListenFilter {
  return { ...emptyFilter, resourceSubscriptions: uris };
}

/** What changed while there was no listen is not known, so all of it is taken for changed. */
function tellMissed(
  session: SubscribingSession,
  own: SessionSubscriptions,
  { resourceSubscriptions }: ListenFilter,
): void {
  if (!own.hasMissed) return;
  own.hasMissed = false;
  const uris = resourceSubscriptions.filter((uri) => own.uris.includes(uri));
  for (const change of changesOf(toFilter(uris))) session.tell?.(change);
}

function done(caller: Caller): Reply {
  return { outcome: emptyResult, requestId: caller.requestId ?? newId(), limit: undefined };
}

function remember(opening: Opening, change: string): void {
  opening.told ??= new Set();
  if (opening.told.size < toldMax) opening.told.add(change);
}

const noUri = createFault("invalid-params", "Invalid params: uri must be a string");
const notHonoured = createFault(
  "invalid-params",
  "Invalid params: no server tells of changes to this resource",
);

function tooMany(most: number): Fault {
  const message = `Invalid params: a session is subscribed to at most ${most} resources`;
  return createFault("invalid-params", message);
}
