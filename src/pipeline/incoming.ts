/**
 * The seam between the agents' edge and the pipeline. A binding (and the legacy adapter above it) turns what it
 * received into an `Incoming` and a `Sink`; dispatch does the rest. No transport type crosses here.
 */

import type { Fault } from "../errors/fault.ts";
import type { Credential, Evidence, Principal } from "../identity/principal.ts";
import type { CancelSignal } from "../lib/cancellation.ts";
import type { HeaderSource } from "../protocol/classify.ts";
import type {
  MalformedMessage,
  McpNotification,
  McpRequest,
  Outcome,
  RelayedMessage,
} from "../protocol/messages.ts";
import type { Era, Revision } from "../protocol/revisions.ts";

export type BindingName = "http" | "sse" | "websocket";

export interface Peer {
  /** Address of the connection's other end (of the client behind a trusted proxy, where configured). */
  readonly address: string;
}

export interface Incoming {
  readonly binding: BindingName;
  readonly era: Era;
  readonly revision: Revision;
  /** Scope from the path: a server's name, a virtual server's, or `all`. */
  readonly scope: string;
  readonly credential: Credential;
  /** What the caller proves its credential by, where anything. */
  readonly evidence?: Evidence | undefined;
  readonly peer: Peer;
  /** `Origin` of a browser, where sent: a client may narrow which ones it comes from. */
  readonly origin: string | undefined;
  /** Correlation id from `X-Request-ID` where well-formed. */
  readonly requestId: string | undefined;
  /** The legacy session, for the record. */
  readonly sessionId: string | undefined;
  /** The W3C trace headers as received, not checked. */
  readonly traceparent: string | undefined;
  readonly tracestate?: string | undefined;
  readonly baggage?: string | undefined;
  /** Headers that came with the message and mirror its arguments (`Mcp-Param-*`): modern HTTP alone. */
  readonly mirrored?: HeaderSource | undefined;
  /** Size of the message as received, in bytes. */
  readonly bodyBytes: number;
  readonly message: McpRequest | McpNotification | MalformedMessage;
  /** Aborts when the agent cancels or (modern) goes away. */
  readonly signal: CancelSignal;
}

export interface Reply {
  readonly outcome: Outcome;
  /** The correlation id, echoed in `X-Request-ID`. */
  readonly requestId: string;
  /** State of the tightest limit, for the RateLimit headers; `policy` is a whole item: `"client";q=60;w=60`. */
  readonly limit:
    | {
        readonly limit: number;
        readonly remaining: number;
        readonly resetSeconds: number;
        readonly policy: string;
      }
    | undefined;
}

export interface Sink {
  /** A progress or log notification while the call runs, in order. */
  relay(message: RelayedMessage): void;
}

/** Where a caller speaks from, and what it proves. */
export type From = Pick<Incoming, "binding" | "scope" | "credential" | "evidence" | "peer">;

export interface Dispatch {
  /**
   * Runs one message through the pipeline. Never rejects: refusals, upstream errors and our own bugs all come back
   * as the reply's outcome, and by then the call is recorded. Notifications resolve with an outcome nobody sends.
   */
  dispatch(incoming: Incoming, sink: Sink): Promise<Reply>;
  /**
   * Authenticates a connection before it is upgraded or a stream is opened, and checks that the scope is visible to
   * the principal. Failures are recorded like any refused message.
   */
  admit(
    request: Pick<Incoming, "binding" | "scope" | "credential" | "evidence" | "peer" | "origin">,
  ): Promise<{ readonly principal: Principal } | { readonly fault: Fault }>;
  /**
   * True while the principal's credential still holds in the current snapshot; with `from`, also from there and with
   * what was proven there.
   */
  stillValid(principal: Principal, from?: From): boolean;
  /** Records that somebody was turned away before being heard. */
  turnedAway(from: Pick<Incoming, "binding" | "peer">, reason: string): void;
  /** Ends every listen, and refuses new ones: the gateway goes away, and waits for what runs. */
  endListens(): void;
}
