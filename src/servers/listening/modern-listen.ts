/**
 * Following a modern server: one `subscriptions/listen` with the filter of all who listen (revision 2026-07-28,
 * section 2.7). A filter cannot be changed: a wider one is a new listen, and the old one ends when the new one is
 * acknowledged. A listen is no call: no time limit ends it and none of the server's places in flight is taken.
 */
import { Cancellation } from "../../lib/cancellation.ts";
import { readListenFilter, renderListenFilter } from "../../protocol/listen-filter.ts";
import type { McpRequest } from "../../protocol/messages.ts";
import { declaresTasks, tasksCapabilities } from "../../protocol/tasks.ts";
import { toErrorBody } from "../answer.ts";
import { ownRequest } from "../era.ts";
import { modernHeaders, renderModern } from "../modern.ts";
import { renderCancellation } from "../outgoing.ts";
import type { WireAnswer } from "../wire.ts";
import type { Follower, FollowerOptions } from "./followers.ts";
import {
  filterOf,
  hasAll,
  listTopics,
  noTopics,
  type Topic,
  type Topics,
  topicsOf,
} from "./topics.ts";

/** What the server acknowledged; undefined where it may do so at another attempt. */
type Answer = Topics | "refused" | undefined;

/** One listen: asked, then acknowledged or refused, then over. */
interface Listen {
  readonly honoured: Promise<Answer>;
  /** Resolves when it ended, whoever ended it. */
  readonly over: Promise<void>;
  close(): void;
}

/** The server has no such method, or never takes this filter. */
const refusals = new Set([-32601, -32602, -32021]);

export function followModern(options: FollowerOptions): Follower {
  const offered = options.link.facts.capabilitiesText;
  const hasTasks = declaresTasks(offered);
  const listens = new Set<Listen>();
  let current: Listen | undefined;
  let asked = noTopics;
  let told = noTopics;

  /** Opens a listen, and ends the one before once this one is acknowledged. */
  async function replace(topics: Topics): Promise<Answer> {
    if (topics.size === 0) return noTopics;
    const listen = openListen(topics, options);
    listens.add(listen);
    void listen.over.then(() => listens.delete(listen));
    const honoured = await listen.honoured;
    if (honoured === undefined || honoured === "refused") return honoured;
    current?.close();
    current = listen;
    told = honoured;
    void listen.over.then(() => {
      // A server that honours nothing ends the listen at once, and would again.
      if (current !== listen || honoured.size === 0) return;
      current = undefined;
      asked = noTopics;
      told = noTopics;
      options.onEnd();
    });
    return honoured;
  }

  async function ask(topics: Topics): Promise<Topics | undefined> {
    // A server refuses the whole filter for a task id where tasks are not declared.
    const asking = hasTasks ? topics : new Set(topicsOf({ ...filterOf(topics), taskIds: [] }));
    let answer = await replace(asking);
    // What one listener named may be what the server does not take; the others must not lose their lists for it.
    const lists = new Set<Topic>(listTopics.filter((topic) => asking.has(topic)));
    if (answer === "refused" && current === undefined && lists.size < asking.size) {
      answer = await replace(lists);
    }
    if (answer === undefined) return undefined;
    asked = topics;
    return answer === "refused" ? told : answer;
  }

  return {
    suits: (topics) => hasAll(asked, topics),
    ask,
    async close() {
      current = undefined;
      for (const listen of listens) listen.close();
    },
  };
}

function openListen(topics: Topics, options: FollowerOptions): Listen {
  const { spec, link } = options;
  const abort = new Cancellation();
  const { promise: honoured, resolve: settle } = Promise.withResolvers<Answer>();
  const id = link.wire.nextId();
  const request = listenRequest(topics);
  const isHttp = spec.transport.kind === "streamable-http";
  const limit = setTimeout(() => abort.abort(), spec.connectTimeoutMs);
  const over = link.wire
    .request({
      id,
      method: request.method,
      text: renderModern(request, id, options.ownInfoText, link.facts.capabilitiesText),
      headers: isHttp ? modernHeaders(request) : {},
      cancellation: isHttp ? undefined : renderCancellation(id),
      signal: abort.signal,
      timeoutMs: undefined,
      isListen: true,
      onNotification(notification) {
        if (abort.signal.aborted) return;
        if (notification.method === "notifications/cancelled") abort.abort();
        else if (notification.method !== "notifications/subscriptions/acknowledged") {
          options.onNotification(notification);
        } else {
          clearTimeout(limit);
          const filter = readListenFilter(notification.params);
          settle(new Set(filter && topicsOf(filter)));
        }
      },
    })
    .then((answer) => {
      clearTimeout(limit);
      // After an acknowledgement this changes nothing.
      settle(judgeEnd(answer, options));
    });
  return { honoured, over, close: () => abort.abort() };
}

function listenRequest(topics: Topics): McpRequest {
  const filter = filterOf(topics);
  const request = ownRequest(
    "subscriptions/listen",
    `{"notifications":${renderListenFilter(filter)}}`,
  );
  if (filter.taskIds.length === 0) return request;
  const envelope = { ...request.envelope, clientCapabilitiesText: tasksCapabilities };
  return { ...request, envelope };
}

/** What the end of a listen that was never acknowledged says. */
function judgeEnd(answer: WireAnswer, { connection, link }: FollowerOptions): Answer {
  if (answer.kind === "result") return "refused";
  if (answer.kind === "error") {
    const { code } = toErrorBody(answer);
    if (code === -32022) connection.drop(link, { forgetEra: true });
    return refusals.has(code) ? "refused" : undefined;
  }
  // A refusal by status, without an answer to our id: another server took the place.
  const { status } = answer;
  if (status === 400 || status === 404 || status === 405)
    connection.drop(link, { forgetEra: true });
  return undefined;
}
