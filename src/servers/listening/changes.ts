/**
 * All who follow one server's changes: what they want together is asked of the server once (`follow.ts`), and what it
 * tells is delivered to those it concerns. Nothing is asked while nobody listens. Here is also what each listener is
 * told to be honoured, once.
 */
import { emptyFilter, type ListenFilter } from "../../protocol/listen-filter.ts";
import type { McpNotification } from "../../protocol/messages.ts";
import type { Listening, ServerChange } from "../client.ts";
import { createCoalescer } from "./coalesce.ts";
import { createFollow, type FollowOptions } from "./follow.ts";
import { createListeners, type Listener } from "./listeners.ts";
import {
  filterOf,
  hasAll,
  listTopics,
  missedChange,
  noTopics,
  readChange,
  type Topic,
  type Topics,
  taskTopic,
  topicOf,
  topicsOf,
} from "./topics.ts";

export interface Changes {
  listen(filter: ListenFilter, onChange: (change: ServerChange) => void): Listening;
  /** A notification that belongs to no call. */
  take(notification: McpNotification): void;
  wantsTask(taskId: string): boolean;
  /** The connection has another link, or none. */
  linkChanged(): void;
  /** The server was away: what is remembered of it may be stale. */
  reopened(): void;
  close(): void;
}

export interface ChangesOptions
  extends Pick<
    FollowOptions,
    "spec" | "connection" | "ownInfoText" | "reconnect" | "clock" | "log"
  > {
  /** Everything heard or made up for, whether anybody listens or not. */
  readonly onChange: (change: ServerChange) => void;
}

/** How long changes of one kind are gathered before they are told. */
const windowMs = 50;
/** How many different things one window tells; beyond, an update below a subscribed URI is told as one of that URI. */
const changesPerWindowMax = 1_024;
/** How many different things all listeners of one server may want together. */
const topicsMax = 10_000;
/** How long the server goes on telling when nobody listens: whoever listens again asks nothing of it. */
const graceMs = 2_000;

export function createChanges(options: ChangesOptions): Changes {
  const { spec } = options;
  const listeners = createListeners();
  const coalescer = createCoalescer({ windowMs, topicsMax: changesPerWindowMax, deliver });
  /** What was asked last, and what of it the server honours. */
  let asked: Topics = noTopics;
  let honoured: Topics = noTopics;
  /** Wanted by those who have left, until the grace is over. */
  let lingering: Topics = noTopics;
  let grace: ReturnType<typeof setTimeout> | undefined;
  let isClosed = false;

  const follow = createFollow({
    ...options,
    onNotification: take,
    wanted: () => (listeners.isEmpty() ? lingering : listeners.topics()),
    onAnswered(nowAsked, nowHonoured, hasGap) {
      asked = nowAsked;
      honoured = nowHonoured;
      for (const listener of listeners.waiting()) {
        if (hasAll(asked, listener.topics)) listener.settle(honoured);
      }
      if (hasGap) missed();
    },
    onGap: missed,
    onStopped() {
      asked = noTopics;
      honoured = noTopics;
    },
  });

  function listen(filter: ListenFilter, onChange: (change: ServerChange) => void): Listening {
    const topics = admitted(filter);
    if (isClosed || topics.length === 0) {
      return { honoured: Promise.resolve(emptyFilter), close() {} };
    }
    clearTimeout(grace);
    const { promise, resolve } = Promise.withResolvers<ListenFilter>();
    const listener = listeners.add(topics, onChange, (settled) => {
      clearTimeout(limit);
      resolve(filterOf(settled));
    });
    // A server that is known to be away for longer than that is not waited for again.
    const limitMs = Math.max(0, spec.connectTimeoutMs - follow.troubleMs());
    const limit = setTimeout(() => listener.settle(new Set(topics)), limitMs);
    if (hasAll(asked, topics)) listener.settle(honoured);
    follow.wantedChanged();
    return { honoured: promise, close: () => leave(listener) };
  }

  /** What is asked, as far as there is room. */
  function admitted(filter: ListenFilter): readonly Topic[] {
    const known = listeners.topics();
    const topics = [...new Set(topicsOf(filter))];
    const fresh = topics.filter((topic) => !known.has(topic));
    const left = new Set(fresh.slice(Math.max(0, topicsMax - known.size)));
    return topics.filter((topic) => !left.has(topic));
  }

  function leave(listener: Listener): void {
    if (!listeners.remove(listener)) return;
    listener.settle(noTopics);
    if (listeners.isEmpty()) {
      lingering = new Set(listener.topics);
      grace = setTimeout(() => {
        lingering = noTopics;
        follow.wantedChanged();
      }, graceMs);
    }
    follow.wantedChanged();
  }

  function take(notification: McpNotification): void {
    const change = readChange(notification);
    if (change === undefined) return;
    const topic = topicOf(change);
    const isWanted = listeners.topics().has(topic);
    // Who asked for a task hears of it; nobody else has a use for it.
    if (change.kind === "task" && !isWanted) return;
    if (change.kind !== "resource" || isWanted || coalescer.hasRoom(topic)) coalescer.add(change);
    else for (const above of listeners.topicsAbove(change.uri)) makeUp(above);
  }

  function missed(): void {
    for (const topic of listTopics) makeUp(topic);
    for (const topic of listeners.topics()) makeUp(topic);
  }

  function makeUp(topic: Topic): void {
    const change = missedChange(topic);
    if (change !== undefined) coalescer.add(change);
  }

  function deliver(change: ServerChange): void {
    options.onChange(change);
    for (const listener of listeners.concerned(change)) listener.tell(change);
  }

  return {
    listen,
    take,
    wantsTask: (taskId) => listeners.topics().has(taskTopic(taskId)),
    linkChanged: follow.linkChanged,
    reopened() {
      // Those who listen are told when the server is followed again, so that nothing falls between.
      if (listeners.isEmpty()) missed();
      else for (const kind of listTopics) options.onChange({ kind });
    },
    close() {
      isClosed = true;
      for (const listener of [...listeners.all()]) leave(listener);
      clearTimeout(grace);
      lingering = noTopics;
      coalescer.close();
      follow.close();
    },
  };
}
