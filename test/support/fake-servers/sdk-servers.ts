/**
 * The behaviour on the official SDKs: `createV1Server` speaks the legacy revisions, `createV2Server` both eras.
 */
import { Server as V1Server } from "@modelcontextprotocol/sdk/server/index.js";
import {
  CallToolRequestSchema,
  ListToolsRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { McpServer } from "@modelcontextprotocol/server";
import { type Behaviour, type Tell, tools } from "./behaviour.ts";

const identity = { name: "fake", version: "1.0.0" };
const capabilities = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  logging: {},
};

export function createV1Server(behaviour: Behaviour): V1Server {
  const server = new V1Server(identity, { capabilities });
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }));
  server.setRequestHandler(SubscribeRequestSchema, ({ params: { uri } }) => {
    behaviour.seen.push(`subscribe:${uri}`);
    if (uri.includes("refused")) throw new Error("no such resource");
    return {};
  });
  server.setRequestHandler(UnsubscribeRequestSchema, ({ params: { uri } }) => {
    behaviour.seen.push(`unsubscribe:${uri}`);
    return {};
  });
  server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) =>
    behaviour.call({
      name: params.name,
      arguments: params.arguments ?? {},
      signal: extra.signal,
      tell: tellOf(server),
      async log(level, data) {
        const params = { level, data };
        await extra.sendNotification({ method: "notifications/message", params });
      },
      async progress(progress, total) {
        const progressToken = params._meta?.progressToken;
        if (progressToken === undefined) return;
        const method = "notifications/progress";
        await extra.sendNotification({ method, params: { progressToken, progress, total } });
      },
    }),
  );
  return server;
}

/** `tell` is for servers that live for one request only; others tell by themselves. */
export function createV2Server(behaviour: Behaviour, tell?: Tell): McpServer {
  const mcp = new McpServer(identity, { capabilities });
  mcp.server.setRequestHandler("tools/list", () => ({ tools }));
  mcp.server.setRequestHandler("tools/call", ({ params }, context) =>
    behaviour.call({
      name: params.name,
      arguments: params.arguments ?? {},
      signal: context.mcpReq.signal,
      tell: tell ?? tellOf(mcp.server),
      log: (level, data) => context.mcpReq.log(level, data),
      async progress(progress, total) {
        const progressToken = context.mcpReq._meta?.progressToken;
        if (progressToken === undefined) return;
        const method = "notifications/progress";
        await context.mcpReq.notify({ method, params: { progressToken, progress, total } });
      },
    }),
  );
  return mcp;
}

function tellOf(server: {
  sendToolListChanged(): unknown;
  sendPromptListChanged(): unknown;
  sendResourceListChanged(): unknown;
  sendResourceUpdated(params: { uri: string }): unknown;
}): Tell {
  return {
    toolsChanged: () => server.sendToolListChanged(),
    promptsChanged: () => server.sendPromptListChanged(),
    resourcesChanged: () => server.sendResourceListChanged(),
    resourceUpdated: (uri) => server.sendResourceUpdated({ uri }),
  };
}
