/**
 * A listen's filter as a set of topics, one for each thing that can change, so that the filters of many listeners
 * unite, compare and match by set operations. Also reads a server's notification as a change. Pure.
 */
import {
  type JsonObject,
  objectMember,
  readObject,
  stringMember,
  withMembers,
} from "../../protocol/json-view.ts";
import type { ListenFilter } from "../../protocol/listen-filter.ts";
import type { McpNotification } from "../../protocol/messages.ts";
import type { ServerChange } from "../client.ts";
import { membersText } from "../outgoing.ts";
import { subscriptionIdKey } from "../relayed.ts";

/** `tools`, `prompts`, `resources`, `resource:<uri>` or `task:<id>`. */
export type Topic = string;
export type Topics = ReadonlySet<Topic>;

export const noTopics: Topics = new Set();

export const listTopics = ["tools", "prompts", "resources"] as const;

const resourcePrefix = "resource:";
const taskPrefix = "task:";

export function resourceTopic(uri: string): Topic {
  return resourcePrefix + uri;
}

export function taskTopic(taskId: string): Topic {
  return taskPrefix + taskId;
}

export function isTaskTopic(topic: Topic): boolean {
  return topic.startsWith(taskPrefix);
}

export function topicsOf(filter: ListenFilter): readonly Topic[] {
  const topics: Topic[] = [];
  if (filter.toolsListChanged) topics.push("tools");
  if (filter.promptsListChanged) topics.push("prompts");
  if (filter.resourcesListChanged) topics.push("resources");
  for (const uri of filter.resourceSubscriptions) topics.push(resourceTopic(uri));
  for (const taskId of filter.taskIds) topics.push(taskTopic(taskId));
  return topics;
}

export function filterOf(topics: Iterable<Topic>): ListenFilter {
  const all = new Set(topics);
  const after = (prefix: string) =>
    [...all].filter((topic) => topic.startsWith(prefix)).map((topic) => topic.slice(prefix.length));
  return {
    toolsListChanged: all.has("tools"),
    promptsListChanged: all.has("prompts"),
    resourcesListChanged: all.has("resources"),
    resourceSubscriptions: after(resourcePrefix),
    taskIds: after(taskPrefix),
  };
}

export function topicOf(change: ServerChange): Topic {
  switch (change.kind) {
    case "resource":
      return resourceTopic(change.uri);
    case "task":
      return taskTopic(change.taskId);
    default:
      return change.kind;
  }
}

export function hasAll(topics: Topics, wanted: Iterable<Topic>): boolean {
  for (const topic of wanted) if (!topics.has(topic)) return false;
  return true;
}

/** The change made up for a topic where one may have been missed; nothing can be made up for a task. */
export function missedChange(topic: Topic): ServerChange | undefined {
  const kind = listTopics.find((one) => one === topic);
  if (kind !== undefined) return { kind };
  if (!topic.startsWith(resourcePrefix)) return undefined;
  const uri = topic.slice(resourcePrefix.length);
  return { kind: "resource", uri, params: readObject(JSON.stringify({ uri })) };
}

/** What a server's notification says has changed; undefined for any other notification. */
export function readChange(notification: McpNotification): ServerChange | undefined {
  const { method, params } = notification;
  switch (method) {
    case "notifications/tools/list_changed":
      return { kind: "tools" };
    case "notifications/prompts/list_changed":
      return { kind: "prompts" };
    case "notifications/resources/list_changed":
      return { kind: "resources" };
    case "notifications/resources/updated": {
      const uri = params && stringMember(params, "uri");
      if (uri === undefined || params === undefined) return undefined;
      return { kind: "resource", uri, params: withoutSubscriptionId(params) };
    }
    case "notifications/tasks": {
      const taskId = params && stringMember(params, "taskId");
      if (taskId === undefined || params === undefined) return undefined;
      return { kind: "task", taskId, params: withoutSubscriptionId(params) };
    }
    default:
      return undefined;
  }
}

/** The id is of our own listen: each listener has another. */
function withoutSubscriptionId(params: JsonObject): JsonObject {
  const meta = objectMember(params, "_meta");
  if (meta === undefined) return params;
  const rest = membersText(meta, (key) => key !== subscriptionIdKey);
  return withMembers(params, { _meta: rest === "" ? undefined : `{${rest}}` });
}
