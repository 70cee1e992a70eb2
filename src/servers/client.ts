/**
 * The interface between the pipeline and one MCP server: four bindings and two eras behind one shape. Stages see
 * this file and nothing else of `servers/`.
 */
import type { McpRequest, Outcome, RelayedMessage } from "../protocol/messages.ts";
import type { Era, Revision } from "../protocol/revisions.ts";
import type { ServerSpec } from "./spec.ts";

export interface CallContext {
  /** Aborts when the agent cancels or goes away; the server is told in its era's own way. */
  readonly signal: AbortSignal;
  /** Milliseconds this call may still take; the server's own limit holds besides. */
  readonly timeoutMs: number;
  /** Headers for HTTP-like bindings: X-Request-ID, X-User-ID, traceparent. Never the agent's credential. */
  readonly headers: Readonly<Record<string, string>>;
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
   * progress and log notification of this call before the promise resolves.
   */
  call(
    request: McpRequest,
    context: CallContext,
    relay: (message: RelayedMessage) => void,
  ): Promise<Outcome>;
  /** Connects if needed and tells what the server is. Rejects with GatewayError upstream-*. */
  facts(signal: AbortSignal): Promise<ServerFacts>;
  close(): Promise<void>;
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

/** All registered servers. `apply` makes it match a new snapshot without disturbing the unchanged ones. */
export interface Servers {
  get(name: string): ServerClient | undefined;
  /** The server's tools by name, from memory while fresh; `refresh` asks the server again. */
  tools(
    name: string,
    options: { readonly refresh: boolean; readonly signal: AbortSignal },
  ): Promise<ReadonlyMap<string, CatalogueTool>>;
  /** From memory alone: true or false while the server's tools are known and fresh, undefined otherwise. */
  knowsTool(server: string, tool: string): boolean | undefined;
  status(name: string): ServerStatus | undefined;
  apply(specs: ReadonlyMap<string, ServerSpec>): void;
  close(): Promise<void>;
}
