/** The fixture on SDK v1: the legacy revisions, with the experimental tasks that only this line has. */
import { InMemoryTaskStore } from "@modelcontextprotocol/sdk/experimental/tasks";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  ResultSchema,
  type ServerNotification,
  type ServerRequest,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import * as script from "./script.ts";

const job = {
  name: "job",
  description: "Runs as a task and not otherwise",
  inputSchema: { type: "object" as const },
  execution: { taskSupport: "required" as const },
};
const jobMs = 30;
const jobKeptMs = 60_000;
const pollMs = 10;
const resourceNotFound = -32002;

export function createV1Fixture(world: script.World): Server {
  const server = new Server(script.serverInfo, {
    capabilities: { ...script.capabilities, tasks: { requests: { tools: { call: {} } } } },
    taskStore: new InMemoryTaskStore(),
  });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [...script.listTools(world), job],
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const { name, arguments: values = {} } = params;
    if (name === job.name) return startJob(String(values.key), params.task !== undefined, extra);
    return script.callTool(
      {
        name,
        values,
        signal: extra.signal,
        async progress(step, total) {
          const progressToken = extra._meta?.progressToken;
          if (progressToken === undefined) return;
          await extra.sendNotification({
            method: "notifications/progress",
            params: { progressToken, progress: step, total, message: `step ${step}` },
          });
        },
        async log(level, data) {
          const method = "notifications/message";
          await extra.sendNotification({ method, params: { level, logger: "matrix", data } });
        },
        ask: (question) => extra.sendRequest(question, ResultSchema),
      },
      world,
    );
  });
  server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: script.resources }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: script.resourceTemplates,
  }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params: { uri } }) => {
    const found = script.readResource(uri);
    if (found === undefined) throw new McpError(resourceNotFound, "Resource not found", { uri });
    return found;
  });
  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: script.prompts }));
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) =>
    script.getPrompt(params.name, params.arguments),
  );
  server.setRequestHandler(CompleteRequestSchema, ({ params }) =>
    script.complete(params.ref, params.argument.value, params.context?.arguments),
  );
  follow(server, world);
  return server;
}

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** Answers with a task at once; its result is there a moment later. */
async function startJob(key: string, isTask: boolean, { taskStore }: Extra) {
  if (!isTask || taskStore === undefined) {
    throw new McpError(ErrorCode.MethodNotFound, `${job.name} runs as a task only`);
  }
  const task = await taskStore.createTask({ ttl: jobKeptMs, pollInterval: pollMs });
  const result = { content: [{ type: "text" as const, text: `job ${key} done` }] };
  setTimeout(() => taskStore.storeTaskResult(task.taskId, "completed", result), jobMs);
  return { task };
}

/** Tells this instance's client what it subscribed to, and of lists in any case. */
function follow(server: Server, { followers }: script.World): void {
  const subscribed = new Set<string>();
  server.setRequestHandler(SubscribeRequestSchema, ({ params: { uri } }) => {
    subscribed.add(uri);
    return {};
  });
  server.setRequestHandler(UnsubscribeRequestSchema, ({ params: { uri } }) => {
    subscribed.delete(uri);
    return {};
  });
  const follower: script.Follower = {
    toolsChanged: () => void server.sendToolListChanged(),
    resourceUpdated(uri) {
      if (subscribed.has(uri)) void server.sendResourceUpdated({ uri });
    },
  };
  server.oninitialized = () => void followers.add(follower);
  server.onclose = () => void followers.delete(follower);
}
