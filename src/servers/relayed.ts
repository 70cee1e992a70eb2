/**
 * Turns a notification a server sent during a call into what the agent must see: its own progress token put back,
 * log messages below the level it asked for dropped. Pure; `server-client.ts` calls it for each notification.
 */
import { memberText, stringMember, withMembers } from "../protocol/json-view.ts";
import type { Envelope, McpNotification, RelayedMessage } from "../protocol/messages.ts";

const severities: readonly string[] = [
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
];

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
  const severity = severities.indexOf(stringMember(params, "level") ?? "");
  if (severity === -1 || severity < severities.indexOf(envelope.logLevel)) return undefined;
  return { method, params };
}

/** The progress token of a progress notification, where it is one of our integers. */
export function progressId({ params }: McpNotification): number | undefined {
  const text = params && memberText(params, "progressToken");
  if (text === undefined) return undefined;
  const id = Number(text);
  return Number.isSafeInteger(id) ? id : undefined;
}
