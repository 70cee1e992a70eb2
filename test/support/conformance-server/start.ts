/**
 * The fixture behind the gateway in the conformance runs: a server of the official SDK with every name the official
 * suite calls, both eras on one URL.
 */
import {
  createMcpHandler,
  hostHeaderValidationResponse,
  isLegacyRequest,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  McpServer,
  originValidationResponse,
} from "@modelcontextprotocol/server";
import { contentTools } from "./content-tools.ts";
import { registerTools } from "./fixture-tool.ts";
import { createLegacySessions } from "./legacy-sessions.ts";
import { type Changes, createProgressTools } from "./progress-tools.ts";
import { registerPrompts } from "./prompts.ts";
import { questionTools, roundStates } from "./question-tools.ts";
import { registerResources } from "./resources.ts";

export interface ConformanceServer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>/mcp` */
  readonly url: string;
}

export function startConformanceServer(): ConformanceServer {
  const changes: Changes = {
    toolsChanged() {
      modern.notify.toolsChanged();
      for (const { server } of legacy.servers()) void server.sendToolListChanged();
    },
    promptsChanged() {
      modern.notify.promptsChanged();
      for (const { server } of legacy.servers()) void server.sendPromptListChanged();
    },
  };
  const create = () => createFixture(changes);
  const legacy = createLegacySessions(create);
  const modern = createMcpHandler(create, { legacy: "reject" });

  const answer = async (request: Request) => {
    if (await isLegacyRequest(request)) return legacy.fetch(request);
    return modern.fetch(request);
  };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: (request) =>
      hostHeaderValidationResponse(request, localhostAllowedHostnames()) ??
      originValidationResponse(request, localhostAllowedOrigins()) ??
      answer(request),
  });
  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    async [Symbol.asyncDispose]() {
      await legacy.close();
      await modern.close();
      await server.stop(true);
    },
  };
}

/** One server: for a session of the legacy era, for one request of the modern one. */
function createFixture(changes: Changes): McpServer {
  const mcp = new McpServer(
    { name: "conformance-fixture", version: "1.0.0" },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        logging: {},
        completions: {},
      },
      instructions: "Everything the conformance suite calls.",
      requestState: { verify: roundStates.verify },
    },
  );
  registerTools(mcp, [...contentTools, ...questionTools, ...createProgressTools(changes)]);
  registerResources(mcp);
  registerPrompts(mcp);
  mcp.server.setRequestHandler("resources/subscribe", () => ({}));
  mcp.server.setRequestHandler("resources/unsubscribe", () => ({}));
  return mcp;
}
