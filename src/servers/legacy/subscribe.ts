/**
 * Following a legacy server: list changes come by themselves on the session, resources are subscribed to one by one.
 * A URI is subscribed once however many listen, and unsubscribed when the last of them left.
 */
import { memberText, objectMember, readObject } from "../../protocol/json-view.ts";
import { declaresTasks } from "../../protocol/tasks.ts";
import type { Follower, FollowerOptions } from "../listening/followers.ts";
import {
  filterOf,
  hasAll,
  isTaskTopic,
  noTopics,
  resourceTopic,
  type Topic,
  type Topics,
} from "../listening/topics.ts";
import { renderRequest } from "../outgoing.ts";
import type { WireAnswer } from "../wire.ts";
import { legacyHeaders } from "./session.ts";

/** How many subscriptions are asked for at a time. */
const concurrencyMax = 8;

export function followLegacy(options: FollowerOptions): Follower {
  const { spec, link, connection } = options;
  const { wire, facts } = link;
  const headers = legacyHeaders(facts.revision);
  const capabilities = readObject(facts.capabilitiesText);
  const resources = objectMember(capabilities, "resources");
  const canSubscribe = resources !== undefined && memberText(resources, "subscribe") === "true";
  const hasTasks = declaresTasks(facts.capabilitiesText);
  const subscribed = new Set<string>();
  let asked = noTopics;
  let isLost = false;
  /** What is being unsubscribed, which must not overtake a new subscription. */
  let leaving = Promise.resolve();
  wire.openStream?.(headers, () => void checkSession());

  /**
   * The session's own stream was broken, so something may have been missed; the session itself may be gone. The
   * stream lasts as long as the link, and is minded when nobody listens, too.
   */
  async function checkSession(): Promise<void> {
    if (hasLostSession(await request("ping"))) connection.drop(link, { forgetEra: false });
    else options.onGap();
  }

  function request(method: string, params?: object): Promise<WireAnswer> {
    const id = wire.nextId();
    return wire.request({
      id,
      method,
      text: renderRequest(id, method, params && JSON.stringify(params)),
      headers,
      cancellation: undefined,
      signal: undefined,
      timeoutMs: spec.callTimeoutMs,
      onNotification: () => {},
    });
  }

  async function subscribe(uri: string): Promise<boolean> {
    const answer = await request("resources/subscribe", { uri });
    if (answer.kind === "result") subscribed.add(uri);
    if (answer.kind === "error" && !hasLostSession(answer)) return true;
    isLost ||= hasLostSession(answer) || isUnreachable(answer);
    if (hasLostSession(answer)) connection.drop(link, { forgetEra: false });
    return answer.kind === "result";
  }

  async function unsubscribe(uri: string): Promise<boolean> {
    const answer = await request("resources/unsubscribe", { uri });
    return answer.kind !== "fault";
  }

  /** Servers tell list changes without saying `listChanged`, too; and a new connection makes up for those missed. */
  function isHonoured(topic: Topic): boolean {
    if (isTaskTopic(topic)) return hasTasks;
    const isList = topic === "tools" || topic === "prompts" || topic === "resources";
    return isList && objectMember(capabilities, topic) !== undefined;
  }

  async function ask(topics: Topics): Promise<Topics | undefined> {
    await leaving;
    isLost = false;
    asked = topics;
    const wanted = new Set(canSubscribe ? filterOf(topics).resourceSubscriptions : []);
    const gone = [...subscribed].filter((uri) => !wanted.has(uri));
    const fresh = [...wanted].filter((uri) => !subscribed.has(uri));
    await inTurns(fresh, subscribe);
    for (const uri of gone) subscribed.delete(uri);
    leaving = inTurns(gone, unsubscribe);
    if (isLost) {
      asked = noTopics;
      return undefined;
    }
    return new Set([...topics].filter((topic) => isHonoured(topic)).concat(told()));
  }

  function told(): readonly Topic[] {
    return [...subscribed].map((uri) => resourceTopic(uri));
  }

  return {
    suits: (topics) => hasAll(asked, topics) && hasAll(topics, told()),
    ask,
    async close() {
      await leaving;
      // A session that is over has no subscriptions.
      if (connection.current() === link) await inTurns([...subscribed], unsubscribe);
    },
  };
}

function hasLostSession(answer: WireAnswer): boolean {
  if (answer.kind === "result") return false;
  return answer.status === 404 || (answer.kind === "fault" && answer.status === 400);
}

function isUnreachable(answer: WireAnswer): boolean {
  return answer.kind === "fault" && answer.fault.name === "upstream-unreachable";
}

/** A few at a time; what is left is not begun once a task says that it makes no sense to go on. */
async function inTurns(
  uris: readonly string[],
  task: (uri: string) => Promise<boolean>,
): Promise<void> {
  let waiting = [...uris];
  const turn = async () => {
    for (let uri = waiting.pop(); uri !== undefined; uri = waiting.pop()) {
      if (!(await task(uri))) waiting = [];
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrencyMax, uris.length) }, turn));
}
