/**
 * Legacy sessions of the conformance fixture: one SDK server and one transport with an event store for each, found by
 * `Mcp-Session-Id`. The SDK's own handler of both eras serves legacy agents without sessions, which the suite's
 * requests to the client need; so these stand in front of it.
 */
import {
  type McpServer,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import { createEventStore } from "./event-store.ts";

export interface LegacySessions {
  fetch(request: Request): Promise<Response>;
  /** The servers of the sessions that are open. */
  servers(): Iterable<McpServer>;
  close(): Promise<void>;
}

/** What a client is asked to wait before it comes back to a stream that closed. */
const retryMs = 500;

export function createLegacySessions(createServer: () => McpServer): LegacySessions {
  interface Session {
    readonly mcp: McpServer;
    readonly transport: WebStandardStreamableHTTPServerTransport;
  }
  const sessions = new Map<string, Session>();

  return {
    async fetch(request) {
      const id = request.headers.get("mcp-session-id");
      const known = id === null ? undefined : sessions.get(id);
      if (known !== undefined) return known.transport.handleRequest(request);
      if (id !== null) return Response.json(notFound, { status: 404 });
      const mcp = createServer();
      const transport: WebStandardStreamableHTTPServerTransport =
        new WebStandardStreamableHTTPServerTransport({
          sessionIdGenerator: () => crypto.randomUUID(),
          eventStore: createEventStore(),
          retryInterval: retryMs,
          onsessioninitialized: (made) => void sessions.set(made, { mcp, transport }),
          onsessionclosed: (closed) => void sessions.delete(closed),
        });
      await mcp.connect(transport);
      return transport.handleRequest(request);
    },
    *servers() {
      for (const { mcp } of sessions.values()) yield mcp;
    },
    async close() {
      await Promise.all([...sessions.values()].map(({ mcp }) => mcp.close()));
      sessions.clear();
    },
  };
}

const notFound = {
  jsonrpc: "2.0",
  error: { code: -32001, message: "Session not found" },
  id: null,
};
