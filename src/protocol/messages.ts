/**
 * The gateway's one model of a message, modern-shaped: a request carries its own envelope (revision, client
 * capabilities, log level, progress token) whatever revision it arrived in. Types only; `parse-message.ts` builds
 * them from text, the edges turn them back into text. JSON is kept as source text: what nobody rewrites is
 * forwarded byte for byte.
 */
import type { Fault } from "../errors/fault.ts";
import type { JsonObject } from "./json-view.ts";
import type { Revision } from "./revisions.ts";

/** What a modern request says about its sender in `params._meta`; for a legacy session, what its session says. */
export interface Envelope {
  readonly revision: Revision;
  /** Source text of the client-info object, where given. Self-reported: never used for decisions. */
  readonly clientInfoText: string | undefined;
  /** Source text of the client-capabilities object; `{}` where none were declared. */
  readonly clientCapabilitiesText: string;
  /** Lowest severity of `notifications/message` wanted for this request; undefined = none. */
  readonly logLevel: string | undefined;
  /** Source text (string or integer) of the agent's own progress token; undefined = no progress wanted. */
  readonly progressTokenText: string | undefined;
}

export interface McpRequest {
  readonly kind: "request";
  /** Source text of the id, echoed byte for byte: `1` and `"1"` differ. */
  readonly idText: string;
  readonly method: string;
  /** The params object as received, `_meta` included; undefined where the message had none. */
  readonly params: JsonObject | undefined;
  readonly envelope: Envelope;
}

export interface McpNotification {
  readonly kind: "notification";
  readonly method: string;
  readonly params: JsonObject | undefined;
}

/** A response sent by the peer: `body` is the source text of the result, or of the error object. */
export interface McpResponse {
  readonly kind: "response";
  readonly idText: string | undefined;
  readonly outcome: "result" | "error";
  readonly body: JsonObject;
}

/** Bytes that never became a message; they still get an exchange and a record. */
export interface MalformedMessage {
  readonly kind: "malformed";
  /** The id, where it could be read, so that the error answers the right request. */
  readonly idText: string | undefined;
  readonly fault: Fault;
}

export const relayedMethods = [
  "notifications/progress",
  "notifications/message",
  "notifications/subscriptions/acknowledged",
  "notifications/tools/list_changed",
  "notifications/prompts/list_changed",
  "notifications/resources/list_changed",
  "notifications/resources/updated",
  "notifications/tasks",
] as const;

/**
 * A notification on its way to the agent while its request runs: progress and log messages of a call, changes on a
 * `subscriptions/listen`.
 */
export interface RelayedMessage {
  readonly method: (typeof relayedMethods)[number];
  /** Params as a modern agent must see them: its own progress token put back, a listen's subscription id in `_meta`. */
  readonly params: JsonObject;
}

/** An error a server answered with; relayed in-band. */
export interface ServerErrorBody {
  readonly code: number;
  readonly message: string;
  /** Source text of `error.data`, where there was one. */
  readonly dataText: string | undefined;
  /** The whole error object, where a server wrote it; what differs above is what was decided since. */
  readonly source?: JsonObject;
}

/**
 * How a call to a server ended, or paused: a result whose `resultType` is `input_required` asks the agent's side
 * something (`input-required.ts`), and a further request takes the call up again. `fault` is ours: unreachable, timed
 * out, answered nonsense.
 */
export type Outcome =
  | { readonly kind: "result"; readonly result: JsonObject }
  | { readonly kind: "error"; readonly error: ServerErrorBody }
  | { readonly kind: "fault"; readonly fault: Fault };
