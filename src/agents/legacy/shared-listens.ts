/**
 * The list changes that legacy sessions hear of. What they hear is decided by scope, credential and origin alone, so
 * all sessions that agree in these share one listen: opened with the first, closed a while after the last has left,
 * and opened again when it is lost. A session costs its place in a set. What one session subscribes to is in
 * `subscriptions.ts`.
 */
import { Cancellation } from "../../lib/cancellation.ts";
import { createYielder } from "../../lib/yielding.ts";
import type { Peer } from "../../pipeline/incoming.ts";
import { emptyFilter, type ListenFilter } from "../../protocol/listen-filter.ts";
import type { Caller } from "../conversation.ts";
import { changesOf } from "./changes.ts";
import { type Ended, type Listening, type ListeningSession, nextListen } from "./listening.ts";

/** A session that hears of list changes. */
export interface SharingSession extends ListeningSession {
  readonly scope: string;
  /** Where it was opened from; `digest` is of the credential. */
  readonly from: { readonly digest: string; readonly peer: Peer };
  /** The listen by which it hears of them; undefined until it is ready to hear of any. */
  listChanges: SharedListen | undefined;
}

/** One listen and the sessions that hear by it. */
interface SharedListen {
  readonly key: string;
  /** In the order they came. */
  readonly sessions: Set<SharingSession>;
  /** Ends the listen; undefined while there is none. */
  end: Cancellation | undefined;
  /** What is told of; undefined while no listen is acknowledged. */
  honoured: ListenFilter | undefined;
  /** Changes may have been missed: all of it is taken for changed when the next listen is there. */
  hasMissed: boolean;
  /** Listens lost one soon after the other. */
  losses: number;
  /** Opens the next listen while there are sessions; ends this one once there are none. */
  timer: ReturnType<typeof setTimeout> | undefined;
  /** Notices that wait to be told; a second one of a kind says no more than the first. */
  readonly due: Set<string>;
  isTelling: boolean;
  /** The session has ended: it hears nothing more. */
  leave(session: SharingSession): void;
}

export interface SharedListens {
  /** From now on the session is told of list changes. Again, for one that is: tries anew what was refused. */
  join(caller: Caller, session: SharingSession): void;
}

/** A listen outlives its last session, which often comes back at once. */
const graceMs = 2_000;
const listFilter: ListenFilter = Object.freeze({
  ...emptyFilter,
  toolsListChanged: true,
  promptsListChanged: true,
  resourcesListChanged: true,
});

export function createSharedListens(deps: { readonly listening: Listening }): SharedListens {
  const byKey = new Map<string, SharedListen>();

  function create(key: string): SharedListen {
    const shared: SharedListen = {
      key,
      sessions: new Set(),
      end: undefined,
      honoured: undefined,
      hasMissed: false,
      losses: 0,
      timer: undefined,
      due: new Set(),
      isTelling: false,
      leave(session) {
        session.listChanges = undefined;
        shared.sessions.delete(session);
        if (shared.sessions.size > 0) return;
        if (shared.end === undefined) close(shared);
        else schedule(shared, graceMs, close);
      },
    };
    byKey.set(key, shared);
    return shared;
  }

  function enter(session: SharingSession, key: string): SharedListen {
    const shared = byKey.get(key) ?? create(key);
    // While there were none, the timer was to end the listen.
    if (shared.sessions.size === 0) cancelTimer(shared);
    shared.sessions.add(session);
    session.listChanges = shared;
    return shared;
  }

  /** Opens the listen as this session's client, unless there is one or its time is not yet. */
  function open(shared: SharedListen, session: SharingSession): void {
    const { caller } = session;
    if (shared.end !== undefined || shared.timer !== undefined || caller === undefined) return;
    const end = new Cancellation();
    shared.end = end;
    deps.listening.start(caller, session, listFilter, end, {
      acknowledged(honoured) {
        shared.honoured = honoured;
        if (!shared.hasMissed) return;
        shared.hasMissed = false;
        for (const change of changesOf(honoured)) tell(shared, change);
      },
      changed: (change) => tell(shared, change),
      ended(ended) {
        if (shared.end !== end) return;
        shared.end = undefined;
        shared.honoured = undefined;
        if (shared.sessions.size === 0) close(shared);
        else reopenLater(shared, ended);
      },
    });
  }

  function reopenLater(shared: SharedListen, ended: Ended): void {
    shared.hasMissed ||= ended.honoured !== undefined;
    const { losses, delayMs } = nextListen(ended, shared.losses);
    shared.losses = losses;
    if (delayMs !== undefined) schedule(shared, delayMs, reopen);
  }

  /** The newest session opens it. One whose client shows another credential by now goes where that belongs. */
  function reopen(shared: SharedListen): void {
    let newest: SharingSession | undefined;
    for (const session of shared.sessions) {
      const key = keyOf(session);
      if (key === shared.key) newest = session;
      else move(session, shared, key);
    }
    if (newest === undefined) close(shared);
    else open(shared, newest);
  }

  function move(session: SharingSession, from: SharedListen, key: string): void {
    from.sessions.delete(session);
    const to = enter(session, key);
    if (to.honoured === undefined) to.hasMissed = true;
    else for (const change of changesOf(to.honoured)) session.tell?.(change);
    open(to, session);
  }

  function close(shared: SharedListen): void {
    cancelTimer(shared);
    shared.end?.abort();
    shared.end = undefined;
    byKey.delete(shared.key);
  }

  return {
    join(caller, session) {
      session.caller = caller;
      open(session.listChanges ?? enter(session, keyOf(session)), session);
    },
  };
}

/** Tells all, with other work in between: there may be thousands. */
async function tell(shared: SharedListen, change: string): Promise<void> {
  const { due, sessions } = shared;
  due.add(change);
  if (shared.isTelling) return;
  shared.isTelling = true;
  const yieldNow = createYielder();
  for (const next of due) {
    // What comes again while it is being told is news to those who were told already.
    due.delete(next);
    for (const session of sessions) {
      session.tell?.(next);
      const turn = yieldNow();
      if (turn !== undefined) await turn;
    }
  }
  shared.isTelling = false;
}

/** Everything that decides what a session may hear of, and whether its listen goes on. */
function keyOf({ scope, from, caller }: SharingSession): string {
  return JSON.stringify([scope, from.digest, from.peer.address, caller?.origin]);
}

function schedule(shared: SharedListen, ms: number, work: (shared: SharedListen) => void): void {
  cancelTimer(shared);
  shared.timer = setTimeout(() => {
    shared.timer = undefined;
    work(shared);
  }, ms);
  shared.timer.unref();
}

function cancelTimer(shared: SharedListen): void {
  clearTimeout(shared.timer);
  shared.timer = undefined;
}
