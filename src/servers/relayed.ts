/**
 * Turns a notification a server sent during a call into what the agent must see: its own progress token put back,
 * log messages below the level it asked for dropped. Pure; `server-client.ts` calls it for each notification.
 */
import { memberText, objectMember, stringMember, withMembers } from "../protocol/json-view.ts";
import { logLevels } from "../protocol/log-levels.ts";
import type { Envelope, McpNotification, RelayedMessage } from "../protocol/messages.ts";

const severities: readonly string[] = logLevels;

export const subscriptionIdKey = "io.modelcontextprotocol/subscriptionId";

/** The message to relay, or undefined where this call's agent did not ask for it. */
export function toRelayed(
  { method, params }: McpNotification,
  envelope: Envelope,
): RelayedMessage | undefined {
  if (params === undefined) return undefined;
  if (method === "notifications/progress") {
    if (envelope.progressTokenText === undefined) return undefined;
    return { method, params: withMembers(params, { progressToken: envelope.progressTokenText }) };
  }
  if (method !== "notifications/message" || envelope.logLevel === undefined) return undefined;
  const severity = severityOf(stringMember(params, "level"));
  if (severity === undefined || severity < (severityOf(envelope.logLevel) ?? 0)) return undefined;
  return { method, params };
}

/** The rank of a log level, the most verbose being 0; undefined for none or an unknown one. */
export function severityOf(level: string | undefined): number | undefined {
  const rank = level === undefined ? -1 : severities.indexOf(level);
  return rank === -1 ? undefined : rank;
}

/** The progress token of a progress notification, where it is one of our integers. */
export function progressId({ params }: McpNotification): number | undefined {
  return integerOf(params && memberText(params, "progressToken"));
}

/** The listen a notification belongs to, or ends, where it names one by one of our integers. */
export function listenId({ method, params }: McpNotification): number | undefined {
  if (params === undefined) return undefined;
  if (method === "notifications/cancelled") return integerOf(memberText(params, "requestId"));
  const meta = objectMember(params, "_meta");
  return meta && integerOf(memberText(meta, subscriptionIdKey));
}

function integerOf(text: string | undefined): number | undefined {
  const id = Number(text);
  return Number.isSafeInteger(id) ? id : undefined;
}
