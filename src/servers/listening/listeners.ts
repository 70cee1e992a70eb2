/**
 * Those who listen to one server, found by what they want to hear: each topic knows its listeners, and an update of a
 * resource also concerns those who subscribed to what it lies below. No timers, no wire.
 */
import type { ServerChange } from "../client.ts";
import { noTopics, resourceTopic, type Topic, type Topics, topicOf } from "./topics.ts";

export interface Listener {
  readonly topics: readonly Topic[];
  /** Fixes, the first time it is called, what is honoured of its topics; before that it is told nothing. */
  settle(honoured: Topics): void;
  tell(change: ServerChange): void;
}

export interface Listeners {
  add(
    topics: readonly Topic[],
    onChange: (change: ServerChange) => void,
    onSettled: (honoured: Topics) => void,
  ): Listener;
  /** False where it left already. */
  remove(listener: Listener): boolean;
  isEmpty(): boolean;
  all(): Iterable<Listener>;
  /** Those not settled yet. */
  waiting(): Iterable<Listener>;
  /** What all of them want; the set changes as they come and go. */
  topics(): Topics;
  /** Who is to be told of a change, each once. */
  concerned(change: ServerChange): Iterable<Listener>;
  /** The topics of the subscribed URIs that a URI equals or lies below. */
  topicsAbove(uri: string): readonly Topic[];
}

export function createListeners(): Listeners {
  const all = new Set<Listener>();
  const waiting = new Set<Listener>();
  const settled = new Map<Listener, Topics>();
  const index = new Map<Topic, Set<Listener>>();
  const topics = new Set<Topic>();
  /** How many subscribed topics there are of each length: a URI is looked up once for each. */
  const lengths = new Map<number, number>();

  function count(topic: Topic, by: 1 | -1): void {
    if (!topic.startsWith(resourceTopic(""))) return;
    const left = (lengths.get(topic.length) ?? 0) + by;
    if (left === 0) lengths.delete(topic.length);
    else lengths.set(topic.length, left);
  }

  function enter(listener: Listener, topic: Topic): void {
    const known = index.get(topic);
    if (known !== undefined) known.add(listener);
    else {
      index.set(topic, new Set([listener]));
      topics.add(topic);
      count(topic, 1);
    }
  }

  function leave(listener: Listener, topic: Topic): void {
    const known = index.get(topic);
    if (known === undefined || !known.delete(listener) || known.size > 0) return;
    index.delete(topic);
    topics.delete(topic);
    count(topic, -1);
  }

  /**
   * A server names a part of what was subscribed by a longer URI. Where the parts are told by `/`, `?` or `#`, one
   * subscriber's `note:///1` does not mean another's `note:///10`; a server with other parts is believed.
   */
  function topicsAbove(uri: string): readonly Topic[] {
    const topic = resourceTopic(uri);
    const found: Topic[] = [];
    for (const length of lengths.keys()) {
      const head = topic.slice(0, length);
      if (length <= topic.length && index.has(head)) found.push(head);
    }
    const near = found.filter((head) => head === topic || isWhole(head, topic));
    return near.length > 0 ? near : found;
  }

  return {
    add(wanted, onChange, onSettled) {
      const listener: Listener = {
        topics: wanted,
        settle(honoured) {
          if (!waiting.delete(listener)) return;
          const own = new Set(wanted.filter((topic) => honoured.has(topic)));
          if (all.has(listener)) settled.set(listener, own);
          onSettled(own);
        },
        tell: onChange,
      };
      all.add(listener);
      waiting.add(listener);
      for (const topic of wanted) enter(listener, topic);
      return listener;
    },
    remove(listener) {
      if (!all.delete(listener)) return false;
      settled.delete(listener);
      for (const topic of listener.topics) leave(listener, topic);
      return true;
    },
    isEmpty: () => all.size === 0,
    all: () => all,
    waiting: () => waiting,
    topics: () => topics,
    concerned(change) {
      const told = new Set<Listener>();
      const about = change.kind === "resource" ? topicsAbove(change.uri) : [topicOf(change)];
      for (const topic of about) {
        for (const listener of index.get(topic) ?? []) {
          if ((settled.get(listener) ?? noTopics).has(topic)) told.add(listener);
        }
      }
      return told;
    },
    topicsAbove,
  };
}

function isWhole(head: Topic, topic: Topic): boolean {
  return head.endsWith("/") || "/?#".includes(topic.charAt(head.length));
}
