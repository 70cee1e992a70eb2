/**
 * What lies between the eras and the bindings: a wire carries requests we numbered and brings back what answered
 * them. Bindings implement it (`streamable-http.ts` directly, the others as a `Channel` under `duplex.ts`); they know
 * framing and ids, and no method, era or retry rule.
 */

import type { Fault } from "../errors/fault.ts";
import type { CancelSignal } from "../lib/cancellation.ts";
import type { JsonObject } from "../protocol/json-view.ts";
import type { McpNotification, McpRequest } from "../protocol/messages.ts";

export interface WireRequest {
  /** Ours, unique on this wire; also our progress token. */
  readonly id: number;
  readonly method: string;
  /** The whole JSON-RPC message. */
  readonly text: string;
  /** For HTTP-like bindings; the others have no place for them. */
  readonly headers: Readonly<Record<string, string>>;
  /** The notification that takes the request back; undefined where closing its stream says so. */
  readonly cancellation: string | undefined;
  readonly signal: CancelSignal | undefined;
  /** Undefined where the caller itself limits the time, by `signal`. */
  readonly timeoutMs: number | undefined;
  /** Values of `resultType` this request may be answered with besides `complete`. */
  readonly resultTypes?: ReadonlySet<string>;
  /** A listen: it is no call, and every notification on its stream is its own. */
  readonly isListen?: boolean;
  /** The request whose progress is told while this one waits, its own answer having come: that of a task. */
  readonly progressOf?: number;
  /** Called for each notification known to belong to this request, in order, before the promise resolves. */
  readonly onNotification: (notification: McpNotification) => void;
}

export type WireAnswer =
  | { readonly kind: "result"; readonly body: JsonObject }
  | { readonly kind: "error"; readonly body: JsonObject; readonly status: number | undefined }
  | {
      readonly kind: "fault";
      readonly fault: Fault;
      /** False only where the server surely did not act on the request. */
      readonly mayHaveRun: boolean;
      /** HTTP status, where there was one: evidence for era and session. */
      readonly status: number | undefined;
    };

export interface Wire {
  nextId(): number;
  /** Never rejects. */
  request(request: WireRequest): Promise<WireAnswer>;
  /** Sends a notification; resolves when it is out (or lost: nobody waits for an answer). Never rejects. */
  notify(text: string, headers: Readonly<Record<string, string>>): Promise<void>;
  /** Answers a request of the server. Never rejects. */
  respond(text: string, headers: Readonly<Record<string, string>>): Promise<void>;
  /**
   * Opens the session's own stream, where the binding keeps one apart from the answers (legacy Streamable HTTP), and
   * keeps it open. `onGap` is called each time it was broken and what the server said in between may be lost. A second
   * call changes nothing.
   */
  openStream?(headers: Readonly<Record<string, string>>, onGap: () => void): void;
  /** No further request will be made: what the session holds ends with its last call. */
  retire(): void;
  /** False once the connection behind it is gone for good. */
  isOpen(): boolean;
  close(): Promise<void>;
}

export interface WireEvents {
  /** A notification that belongs to no single call: list changes, a request of the server taken back. */
  readonly onNotification: (notification: McpNotification) => void;
  /**
   * The server asks; the answer goes out by `Wire.respond`. `callId` is the request it surely belongs to: the one on
   * whose stream it came.
   */
  readonly onRequest: (request: McpRequest, callId: number | undefined) => void;
  /** The connection ended by itself. */
  readonly onClose: (fault: Fault) => void;
}

/** Opens one connection (spawns one process). Rejects with GatewayError `upstream-*`. */
export type OpenWire = (events: WireEvents, signal: CancelSignal) => Promise<Wire>;

/** A two-way stream of whole messages: what stdio, WebSocket and HTTP+SSE have in common. */
export interface Channel {
  /**
   * Resolves with a fault where the message surely did not reach the server; undefined = sent. Headers are for
   * channels that post their messages.
   */
  send(
    text: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Fault | undefined> | Fault | undefined;
  close(): Promise<void>;
}

export interface ChannelEvents {
  readonly onText: (text: string) => void;
  readonly onClose: (fault: Fault) => void;
}
