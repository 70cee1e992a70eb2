/**
 * A server with one of everything that gateways forget, on the official SDKs: legacy (v1, sessions over Streamable HTTP) or
 * modern (v2). It keeps what it saw of the protocol's small print.
 */
import { Server as V1Server } from "@modelcontextprotocol/sdk/server/index.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import {
  CallToolRequestSchema,
  InitializedNotificationSchema,
  ListResourcesRequestSchema,
  ListToolsRequestSchema,
  ReadResourceRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";

export interface WitnessServer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`; the endpoint is `/mcp`. */
  readonly base: string;
  /** `initialized`, `started`, `cancelled`, `deleted`, in the order they happened. */
  readonly seen: string[];
  /** Tells whoever listens. */
  changeTools(): Promise<void>;
  touch(uri: string): Promise<void>;
}

const identity = { name: "witness", version: "1" };
const capabilities = {
  tools: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  logging: {},
};
export const instructions = "Measure twice, cut once.";
export const loggerName = "witness.small-print";
export const noteUri = "note:///watched";

const measure = {
  name: "measure",
  description: "Measures.",
  inputSchema: {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object" as const,
    properties: {
      unit: { type: "string", pattern: "^[a-z]+$", format: "unit" },
      range: { $ref: "#/$defs/range" },
    },
    $defs: { range: { anyOf: [{ type: "integer" }, { type: "null" }] } },
    additionalProperties: false,
  },
  outputSchema: {
    type: "object" as const,
    properties: { metres: { type: "number" } },
    required: ["metres"],
  },
  annotations: { title: "Measure", readOnlyHint: true, openWorldHint: false },
};
const plain = (name: string) => ({ name, inputSchema: { type: "object" as const } });

/** The first page; the second one is behind its cursor. */
export const firstPage = { tools: [measure, plain("log"), plain("steps")], nextCursor: "second" };
export const secondPage = { tools: [plain("wait"), plain("slow-steps")] };
export const measured = {
  content: [{ type: "text" as const, text: "3" }],
  structuredContent: { metres: 3 },
};

type Note =
  | {
      method: "notifications/progress";
      params: { progressToken: string | number; progress: number; total: number };
    }
  | { method: "notifications/message"; params: { level: "error"; logger: string; data: object } };

interface Call {
  readonly name: string;
  readonly signal: AbortSignal;
  readonly progressToken: string | number | undefined;
  notify(note: Note): Promise<void>;
}

const slowStepMs = 150;

async function answerCall(call: Call, seen: string[]) {
  const { name, signal, progressToken, notify } = call;
  const step = async (progress: number) => {
    if (progressToken === undefined) return;
    await notify({
      method: "notifications/progress",
      params: { progressToken, progress, total: 3 },
    });
  };
  switch (name) {
    case "log": {
      const data = { what: "logged" };
      await notify({
        method: "notifications/message",
        params: { level: "error", logger: loggerName, data },
      });
      break;
    }
    case "steps":
      for (const progress of [1, 2, 3]) await step(progress);
      break;
    case "slow-steps":
      for (const progress of [1, 2, 3]) {
        await step(progress);
        await Bun.sleep(slowStepMs);
      }
      break;
    case "wait":
      seen.push("started");
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      seen.push("cancelled");
      break;
    default:
  }
  return name === "measure" ? measured : { content: [{ type: "text" as const, text: name }] };
}

export function startWitnessServer(era: "legacy" | "modern"): WitnessServer {
  return era === "legacy" ? startLegacy() : startModern();
}

function startLegacy(): WitnessServer {
  const seen: string[] = [];
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const peers = new Set<V1Server>();
  const http = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      if (request.method === "DELETE") seen.push("deleted");
      const id = request.headers.get("mcp-session-id");
      const known = id === null ? undefined : sessions.get(id);
      if (known !== undefined) return known.handleRequest(request);
      if (id !== null) return Response.json({}, { status: 404 });
      const transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: () => crypto.randomUUID(),
        onsessioninitialized: (made) => void sessions.set(made, transport),
      });
      const peer = createLegacy(seen);
      peers.add(peer);
      await peer.connect(transport);
      return transport.handleRequest(request);
    },
  });
  return {
    base: `http://127.0.0.1:${http.port}`,
    seen,
    changeTools: async () => {
      for (const peer of peers) await peer.sendToolListChanged();
    },
    touch: async (uri) => {
      for (const peer of peers) await peer.sendResourceUpdated({ uri });
    },
    [Symbol.asyncDispose]: () => http.stop(true),
  };
}

function createLegacy(seen: string[]): V1Server {
  const server = new V1Server(identity, { capabilities, instructions });
  server.setNotificationHandler(InitializedNotificationSchema, () => void seen.push("initialized"));
  server.setRequestHandler(ListToolsRequestSchema, ({ params }) =>
    params?.cursor === "second" ? secondPage : firstPage,
  );
  server.setRequestHandler(ListResourcesRequestSchema, () => ({
    resources: [{ uri: noteUri, name: "watched" }],
  }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => ({
    contents: [{ uri: params.uri, text: "read" }],
  }));
  server.setRequestHandler(SubscribeRequestSchema, () => {
    seen.push("subscribed");
    return {};
  });
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
  server.setRequestHandler(CallToolRequestSchema, ({ params }, { signal, sendNotification }) =>
    answerCall(
      {
        name: params.name,
        signal,
        progressToken: params._meta?.progressToken,
        notify: (note) => sendNotification(note),
      },
      seen,
    ),
  );
  return server;
}

function startModern(): WitnessServer {
  const seen: string[] = [];
  const handler = createMcpHandler(() => createModern(seen), { legacy: "reject" });
  const http = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: (request) => handler.fetch(request),
  });
  return {
    base: `http://127.0.0.1:${http.port}`,
    seen,
    changeTools: async () => handler.notify.toolsChanged(),
    touch: async (uri) => handler.notify.resourceUpdated(uri),
    [Symbol.asyncDispose]: () => http.stop(true),
  };
}

function createModern(seen: string[]): McpServer {
  const mcp = new McpServer(identity, { capabilities, instructions });
  mcp.server.setRequestHandler("tools/list", ({ params }) =>
    params?.cursor === "second" ? secondPage : firstPage,
  );
  mcp.server.setRequestHandler("resources/list", () => ({
    resources: [{ uri: noteUri, name: "watched" }],
  }));
  mcp.server.setRequestHandler("resources/read", ({ params }) => ({
    contents: [{ uri: params.uri, text: "read" }],
  }));
  mcp.server.setRequestHandler("tools/call", ({ params }, { mcpReq }) =>
    answerCall(
      {
        name: params.name,
        signal: mcpReq.signal,
        progressToken: mcpReq._meta?.progressToken,
        notify: (note) => mcpReq.notify(note),
      },
      seen,
    ),
  );
  return mcp;
}
