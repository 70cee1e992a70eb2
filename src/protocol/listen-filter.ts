/**
 * What a listener wants to hear of, and what is honoured (revision 2026-07-28, section 2.7). The subscriptions of the
 * older revisions take this form inside the gateway too. Pure.
 */
import {
  decodeString,
  findMember,
  type JsonObject,
  memberText,
  objectMember,
  readArray,
} from "./json-view.ts";

export interface ListenFilter {
  readonly toolsListChanged: boolean;
  readonly promptsListChanged: boolean;
  readonly resourcesListChanged: boolean;
  /** URIs, as the listener names them. */
  readonly resourceSubscriptions: readonly string[];
  /** Of the tasks extension. */
  readonly taskIds: readonly string[];
}

export const emptyFilter: ListenFilter = Object.freeze({
  toolsListChanged: false,
  promptsListChanged: false,
  resourcesListChanged: false,
  resourceSubscriptions: Object.freeze([]),
  taskIds: Object.freeze([]),
});

/** Reads `notifications` of a listen request or of its acknowledgement; undefined where it is not of the shape. */
export function readListenFilter(params: JsonObject | undefined): ListenFilter | undefined {
  const given = params && objectMember(params, "notifications");
  if (given === undefined) return undefined;
  const resourceSubscriptions = strings(given, "resourceSubscriptions");
  const taskIds = strings(given, "taskIds");
  if (resourceSubscriptions === undefined || taskIds === undefined) return undefined;
  const flag = (key: string) => memberText(given, key) === "true";
  return {
    toolsListChanged: flag("toolsListChanged"),
    promptsListChanged: flag("promptsListChanged"),
    resourcesListChanged: flag("resourcesListChanged"),
    resourceSubscriptions,
    taskIds,
  };
}

/** Source text of a `notifications` object: only what is wanted stands in it. */
export function renderListenFilter(filter: ListenFilter): string {
  return JSON.stringify({
    ...(filter.toolsListChanged && { toolsListChanged: true }),
    ...(filter.promptsListChanged && { promptsListChanged: true }),
    ...(filter.resourcesListChanged && { resourcesListChanged: true }),
    ...(filter.resourceSubscriptions.length > 0 && {
      resourceSubscriptions: filter.resourceSubscriptions,
    }),
    ...(filter.taskIds.length > 0 && { taskIds: filter.taskIds }),
  });
}

export function isEmptyFilter(filter: ListenFilter): boolean {
  return renderListenFilter(filter) === "{}";
}

/** The strings of an array member, [] where it is missing, undefined where it is anything else. */
function strings(object: JsonObject, key: string): readonly string[] | undefined {
  const member = findMember(object, key);
  if (member === undefined) return [];
  if (object.text[member.start] !== "[") return undefined;
  const spans = readArray(object.text, member.start);
  if (spans.some(({ start }) => object.text[start] !== '"')) return undefined;
  return spans.map(({ start, end }) => decodeString(object.text, start, end));
}
