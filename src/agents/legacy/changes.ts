/**
 * A `subscriptions/listen` on behalf of a legacy session, and what it brings as the notifications of the older
 * revisions. Pure.
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
import type { McpRequest } from "../../protocol/messages.ts";
import { type SessionClient, sessionEnvelope } from "./to-modern.ts";

const listNotices = {
  toolsListChanged: "notifications/tools/list_changed",
  promptsListChanged: "notifications/prompts/list_changed",
  resourcesListChanged: "notifications/resources/list_changed",
} as const;
const updated = "notifications/resources/updated";
const noticed: readonly string[] = [...Object.values(listNotices), updated];
const subscriptionKey = `${metaPrefix}subscriptionId`;

/** The request for these changes. `number` tells it from other listens that are open. */
export function toListen(session: SessionClient, number: number, filter: ListenFilter): McpRequest {
  return {
    kind: "request",
    idText: `"gw-listen-${number}"`,
    method: "subscriptions/listen",
    params: readObject(`{"notifications":${renderListenFilter(filter)}}`),
    envelope: { ...sessionEnvelope(session), logLevel: undefined },
  };
}

/** The text of the notification for a legacy client; undefined where it has none. The subscription's id means nothing there. */
export function toLegacyChange(method: string, params: JsonObject | undefined): string | undefined {
  if (!noticed.includes(method)) return undefined;
  const meta = params && objectMember(params, "_meta");
  let told = params;
  if (params !== undefined && meta !== undefined) {
    const rest = withMembers(meta, { [subscriptionKey]: undefined });
    told = withMembers(params, { _meta: rest.members.length === 0 ? undefined : objectText(rest) });
  }
  return renderNotice(method, told);
}

/** Everything that a filter covers, as if it had changed. */
export function changesOf(filter: ListenFilter): readonly string[] {
  const lists = (["toolsListChanged", "promptsListChanged", "resourcesListChanged"] as const)
    .filter((flag) => filter[flag])
    .map((flag) => renderNotice(listNotices[flag], undefined));
  const resources = filter.resourceSubscriptions.map((uri) =>
    renderNotice(updated, readObject(JSON.stringify({ uri }))),
  );
  return [...lists, ...resources];
}

function renderNotice(method: string, params: JsonObject | undefined): string {
  const hasParams = params !== undefined && params.members.length > 0;
  const paramsText = hasParams ? `,"params":${objectText(params)}` : "";
  return `{"jsonrpc":"2.0","method":"${method}"${paramsText}}`;
}
