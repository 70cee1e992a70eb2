/**
 * A legacy server on SDK v1 whose tool `work` runs as a task alone, by the SDK's own task store and queue: it may make
 * progress, ask, fail in either way, or wait to be cancelled, as its arguments say. `maybe` leaves the choice to its
 * client, `plain` knows no tasks. Keeps what it saw. No assertions here.
 */
import {
  InMemoryTaskMessageQueue,
  InMemoryTaskStore,
} from "@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js";
import { Server as V1Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import {
  CallToolRequestSchema,
  ElicitResultSchema,
  ListToolsRequestSchema,
  McpError,
  type ServerNotification,
  type ServerRequest,
} from "@modelcontextprotocol/sdk/types.js";
import type { Behaviour } from "./behaviour.ts";

const schema = { type: "object" as const };

/** What the tool does, in this order. */
export interface Work {
  readonly steps?: number;
  /** Waits so long before everything else, in milliseconds. */
  readonly delayMs?: number;
  readonly questions?: number;
  readonly end?: "text" | "tool-error" | "error" | "never";
}

const pollInterval = 20;
const form = { type: "object" as const, properties: { name: { type: "string" as const } } };

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

export function createTaskingServer(behaviour: Behaviour): V1Server {
  const { seen } = behaviour;
  const server = new V1Server(
    { name: "tasking", version: "1.0.0" },
    {
      capabilities: {
        tools: {},
        tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } },
      },
      taskStore: createStore(seen),
      taskMessageQueue: new InMemoryTaskMessageQueue(),
    },
  );
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [
      { name: "work", inputSchema: schema, execution: { taskSupport: "required" } },
      { name: "maybe", inputSchema: schema, execution: { taskSupport: "optional" } },
      { name: "plain", inputSchema: schema },
      { name: "seen", inputSchema: schema },
    ],
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const { name, task: asked } = params;
    if (name === "seen") return text(seen.join("\n"));
    seen.push(`call:${name}:${asked === undefined ? "plain" : "task"}`);
    const store = extra.taskStore;
    if (name !== "work" && asked === undefined) return text(name);
    if (asked === undefined || store === undefined) throw new McpError(-32601, "needs a task");
    const task = await store.createTask({ ttl: asked.ttl ?? null, pollInterval });
    const progressToken = params._meta?.progressToken;
    void run(task.taskId, (params.arguments ?? {}) as Work, extra, progressToken).catch((error) => {
      seen.push(`lost:${error}`);
    });
    return { task };
  });

  async function run(
    taskId: string,
    { steps = 0, delayMs = 0, questions = 0, end = "text" }: Work,
    extra: Extra,
    progressToken: string | number | undefined,
  ): Promise<void> {
    const store = extra.taskStore;
    if (store === undefined) return;
    await Bun.sleep(delayMs);
    for (let step = 1; step <= steps; step += 1) {
      if (progressToken === undefined) break;
      const method = "notifications/progress" as const;
      await extra.sendNotification({ method, params: { progressToken, progress: step } });
    }
    const answers: unknown[] = [];
    for (let count = 1; count <= questions; count += 1) {
      const params = { message: `Name ${count}?`, requestedSchema: form };
      const request = { method: "elicitation/create" as const, params };
      // The option is not in the type of the one place where servers need it.
      const related: object = { relatedTask: { taskId } };
      const answered = await extra
        .sendRequest(request, ElicitResultSchema, related)
        .catch((error: { code?: number }) => ({ error: error.code }));
      answers.push(answered);
      await store.updateTaskStatus(taskId, "working", "going on");
    }
    switch (end) {
      case "never":
        return;
      case "error":
        return store.updateTaskStatus(taskId, "failed", "broken");
      case "tool-error":
        return store.storeTaskResult(taskId, "failed", { ...text("no luck"), isError: true });
      default:
        return store.storeTaskResult(taskId, "completed", text(JSON.stringify(answers)));
    }
  }

  return server;
}

/** Keeps that a task was asked for, and what became of one that was not left to end. */
function createStore(seen: string[]): InMemoryTaskStore {
  const store = new InMemoryTaskStore();
  const get = store.getTask.bind(store);
  store.getTask = (...asked) => {
    if (!seen.includes("asked for")) seen.push("asked for");
    return get(...asked);
  };
  const update = store.updateTaskStatus.bind(store);
  store.updateTaskStatus = async (taskId, status, ...more) => {
    await update(taskId, status, ...more);
    if (status === "cancelled") seen.push("cancelled");
  };
  return store;
}

function text(value: string) {
  return { content: [{ type: "text" as const, text: value }] };
}
