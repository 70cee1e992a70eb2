/**
 * The sample calculator as an MCP server over Streamable HTTP, built on the official SDK. Stateless: each request gets
 * its own server object, so nothing one caller does can reach another. Loopback only. The demo puts it behind the gateway.
 */
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import {
  CallToolRequestSchema,
  type CallToolResult,
  ListToolsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { version } from "../../lib/version.ts";
import { messageOf } from "../command.ts";
import { calculations } from "./calculations.ts";

export interface SampleServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves the calculator at `http://127.0.0.1:<port>/mcp`; port 0 asks for a free one. */
export function startCalculator(port: number): SampleServer {
  const listener = Bun.serve({
    hostname: "127.0.0.1",
    port,
    idleTimeout: 0,
    fetch: async (request) => {
      if (new URL(request.url).pathname !== "/mcp") return new Response(null, { status: 404 });
      const transport = new WebStandardStreamableHTTPServerTransport({});
      await createCalculator().connect(transport);
      return transport.handleRequest(request);
    },
  });
  return {
    url: `${listener.url.origin}/mcp`,
    close: async () => {
      await listener.stop(true);
    },
  };
}

function createCalculator(): Server {
  const identity = { name: "sample-calculator", version };
  const server = new Server(identity, { capabilities: { tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: listTools() }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }) =>
    calculate(params.name, params.arguments ?? {}),
  );
  return server;
}

function listTools() {
  return Object.entries(calculations).map(([name, { description, properties, required }]) => ({
    name,
    description,
    inputSchema: {
      type: "object" as const,
      properties: { ...properties },
      required: [...required],
      additionalProperties: false,
    },
    annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  }));
}

function calculate(name: string, given: Readonly<Record<string, unknown>>): CallToolResult {
  const calculation = Object.hasOwn(calculations, name) ? calculations[name] : undefined;
  try {
    if (calculation === undefined) throw new RangeError(`there is no tool "${name}"`);
    const result = calculation.run(given);
    return {
      content: [{ type: "text", text: JSON.stringify(result) }],
      structuredContent: { ...result },
    };
  } catch (error) {
    return { isError: true, content: [{ type: "text", text: messageOf(error) }] };
  }
}
