/**
 * The interface between the pipeline and one MCP server: four bindings and two eras behind one shape. Stages see
 * this file and nothing else of `servers/`.
 */
import type { CancelSignal } from "../lib/cancellation.ts";
import type { JsonObject } from "../protocol/json-view.ts";
import type { ListenFilter } from "../protocol/listen-filter.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../protocol/messages.ts";
import type { ParamHeader } from "../protocol/param-headers.ts";
import type { Era, Revision } from "../protocol/revisions.ts";
import type { ServerSpec } from "./spec.ts";
import type { AccessCaller, UserAuthorization } from "./user-access.ts";

export interface CallContext {
  /** Aborts when the agent cancels or goes away; the server is told in its era's own way. */
  readonly signal: CancelSignal;
  /** Milliseconds this call may still take; the server's own limit holds besides. */
  readonly timeoutMs: number;
  /** Headers for HTTP-like bindings: X-Request-ID, X-User-ID, traceparent. Never the agent's credential. */
  readonly headers: Readonly<Record<string, string>>;
  /** Who calls: what waits for an answer of theirs is counted by it. Left out where the gateway itself asks. */
  readonly principalId?: string | undefined;
  /** The same, for a server that users must allow the gateway to reach in their name. */
  readonly caller?: AccessCaller | undefined;
  /** The user's own verified token, for a server that takes tokens made from it; never sent to the server itself. */
  readonly subject?:
    | {
        /** Who calls with which rights: two tokens of one key may stand for each other. */
        readonly key: string;
        readonly token: string;
        readonly expiresAtMs: number | undefined;
      }
    | undefined;
}

/** What a server says of itself, in modern form whatever its era. */
export interface ServerFacts {
  readonly era: Era;
  readonly revision: Revision;
  /** Source text of the capabilities object. */
  readonly capabilitiesText: string;
  readonly instructions: string | undefined;
  /** Source text of the server-info object, where given. */
  readonly serverInfoText: string | undefined;
}

export interface ServerClient {
  readonly spec: ServerSpec;
  /**
   * Sends one request and resolves with how it ended; never rejects. `relay` is called, in order, for each
   * progress and log notification of this call before the promise resolves. A server's question to the agent's side
   * is a result too (`input_required`); the request that brings the answers, with the same `requestState`, goes on
   * with the call. Only what the request's capabilities declare is ever asked.
   */
  call(
    request: McpRequest,
    context: CallContext,
    relay: (message: RelayedMessage) => void,
  ): Promise<Outcome>;
  /**
   * Follows the server's changes until closed, over every reconnection; where some may have been missed, they are
   * made up for, so that caches drop. `onChange` is never called after `close`.
   */
  listen(filter: ListenFilter, onChange: (change: ServerChange) => void): Listening;
  /** Connects if needed and tells what the server is. Rejects with GatewayError upstream-*. */
  facts(signal: CancelSignal): Promise<ServerFacts>;
  close(): Promise<void>;
}

/** Something changed on a server. */
export type ServerChange =
  | { readonly kind: "tools" | "prompts" | "resources" }
  /** `params` as the server sent them, or as made up for it. */
  | { readonly kind: "resource"; readonly uri: string; readonly params: JsonObject }
  | { readonly kind: "task"; readonly taskId: string; readonly params: JsonObject };

export interface Listening {
  /**
   * What the server honours of the filter, known at the latest when its connect timeout is over; never rejects. A
   * server that cannot be reached honours what was asked: its return is then told as a change.
   */
  readonly honoured: Promise<ListenFilter>;
  close(): void;
}

export interface CatalogueTool {
  readonly name: string;
  /** Source text of the whole tool definition. */
  readonly text: string;
}

export interface ServerStatus {
  readonly name: string;
  readonly state: "idle" | "connecting" | "ready" | "failing" | "disabled";
  readonly era: Era | undefined;
  readonly revision: Revision | undefined;
  readonly lastError: string | undefined;
  readonly consecutiveFailures: number;
  readonly inFlight: number;
  readonly restarts: number;
}

export interface ToolsOptions {
  readonly refresh: boolean;
  readonly signal: CancelSignal;
  /** Source text of what the client declares, since a server may offer it more; left out: nothing. */
  readonly clientCapabilitiesText?: string;
  /** On whose occasion: of a server that users allow the gateway to reach, each knows what is theirs. */
  readonly caller?: AccessCaller | undefined;
}

/** All registered servers. `apply` makes it match a new snapshot without disturbing the unchanged ones. */
export interface Servers {
  get(name: string): ServerClient | undefined;
  /** The server's tools by name, as one client may see them, from memory while fresh; `refresh` asks the server again. */
  tools(name: string, options: ToolsOptions): Promise<ReadonlyMap<string, CatalogueTool>>;
  /** From memory alone: true or false while the server's tools are known and fresh, undefined otherwise. */
  knowsTool(
    server: string,
    tool: string,
    clientCapabilitiesText?: string,
    caller?: AccessCaller,
  ): boolean | undefined;
  /** From memory alone: the arguments that a tool mirrors into headers, as last listed. */
  paramHeaders(
    server: string,
    tool: string,
    clientCapabilitiesText?: string,
    caller?: AccessCaller,
  ): readonly ParamHeader[];
  /** From memory alone: source text of a tool's input schema, as last listed. */
  inputSchema(
    server: string,
    tool: string,
    clientCapabilitiesText?: string,
    caller?: AccessCaller,
  ): string | undefined;
  /** Undefined for a server that users need not allow anything. */
  authorization(server: string): UserAuthorization | undefined;
  status(name: string): ServerStatus | undefined;
  apply(specs: ReadonlyMap<string, ServerSpec>): void;
  close(): Promise<void>;
}
