/**
 * What a listener is sent (revision 2026-07-28, section 2.7): the acknowledgement, the changes, and the result that
 * ends it, each with the subscription's id in `_meta`. Pure; a server's own params keep their bytes around it.
 */
import { metaPrefix } from "../../protocol/envelope.ts";
import {
  type JsonObject,
  objectMember,
  objectText,
  readObject,
  withMembers,
} from "../../protocol/json-view.ts";
import { type ListenFilter, renderListenFilter } from "../../protocol/listen-filter.ts";
import type { Outcome, RelayedMessage } from "../../protocol/messages.ts";

export type ListKind = "tools" | "prompts" | "resources";

export const listKinds: readonly ListKind[] = ["tools", "prompts", "resources"];

const subscriptionIdKey = `${metaPrefix}subscriptionId`;
const empty = readObject("{}");

/** `idText` is the source text of the listen request's id, so its type stays. */
export function acknowledgement(idText: string, honoured: ListenFilter): RelayedMessage {
  const params = readObject(`{"notifications":${renderListenFilter(honoured)}}`);
  return {
    method: "notifications/subscriptions/acknowledged",
    params: withSubscription(params, idText),
  };
}

export function listChanged(idText: string, kind: ListKind): RelayedMessage {
  return { method: `notifications/${kind}/list_changed`, params: withSubscription(empty, idText) };
}

export function resourceUpdated(idText: string, params: JsonObject): RelayedMessage {
  return { method: "notifications/resources/updated", params: withSubscription(params, idText) };
}

/** `params` are of a task under the id its listener knows. */
export function taskChanged(idText: string, params: JsonObject): RelayedMessage {
  return { method: "notifications/tasks", params: withSubscription(params, idText) };
}

export function closingResult(idText: string): Outcome {
  const result = readObject('{"resultType":"complete"}');
  return { kind: "result", result: withSubscription(result, idText) };
}

function withSubscription(object: JsonObject, idText: string): JsonObject {
  const meta = objectMember(object, "_meta") ?? empty;
  const metaText = objectText(withMembers(meta, { [subscriptionIdKey]: idText }));
  return withMembers(object, { _meta: metaText });
}
