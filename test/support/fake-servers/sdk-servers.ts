/**
 * The behaviour on the official SDKs: `createV1Server` speaks the legacy revisions, `createV2Server` both eras.
 */
import { Server as V1Server } from "@modelcontextprotocol/sdk/server/index.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { McpServer } from "@modelcontextprotocol/server";
import { type Behaviour, tools } from "./behaviour.ts";

const identity = { name: "fake", version: "1.0.0" };

export function createV1Server(behaviour: Behaviour): V1Server {
  const capabilities = { tools: { listChanged: true }, logging: {} };
  const server = new V1Server(identity, { capabilities });
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) =>
    behaviour.call({
      name: params.name,
      arguments: params.arguments ?? {},
      signal: extra.signal,
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

export function createV2Server(behaviour: Behaviour): McpServer {
  const capabilities = { tools: { listChanged: true }, logging: {} };
  const mcp = new McpServer(identity, { capabilities });
  mcp.server.setRequestHandler("tools/list", () => ({ tools }));
  mcp.server.setRequestHandler("tools/call", ({ params }, context) =>
    behaviour.call({
      name: params.name,
      arguments: params.arguments ?? {},
      signal: context.mcpReq.signal,
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
