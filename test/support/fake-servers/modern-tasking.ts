/**
 * A server of revision 2026-07-28 with the tasks extension, by hand, since no SDK has it: `work` becomes a task for
 * clients that declare it, and is refused to the others. Tests say how its task goes on. Keeps the headers and params
 * of every request. No assertions here.
 */
import { tasksExtension } from "../../../src/protocol/tasks.ts";

const requiredCapabilities = { extensions: { [tasksExtension]: {} } };
const clientCapabilitiesKey = "io.modelcontextprotocol/clientCapabilities";
const subscriptionKey = "io.modelcontextprotocol/subscriptionId";

export interface SeenRequest {
  readonly method: string;
  readonly name: string | null;
  readonly params: Record<string, unknown>;
}

interface Message {
  readonly id?: string | number;
  readonly method: string;
  readonly params: Record<string, unknown> & {
    readonly notifications?: object;
    readonly _meta?: Record<string, { extensions?: Record<string, object> }>;
  };
}

export interface ModernTaskingServer extends AsyncDisposable {
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  /** The task from now on; listeners to it are told. */
  become(more: object): void;
}

export function startModernTasking(taskId = "task 1"): ModernTaskingServer {
  const seen: SeenRequest[] = [];
  const listeners = new Map<ReadableStreamDefaultController<Uint8Array>, unknown>();
  let task: object = { taskId, status: "working", createdAt: "c", lastUpdatedAt: "l", ttlMs: null };

  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      if (request.method !== "POST") return new Response(null, { status: 405 });
      const { id, method, params } = (await request.json()) as Message;
      if (id === undefined) return new Response(null, { status: 202 });
      seen.push({ method, name: request.headers.get("mcp-name"), params });
      const declared = params._meta?.[clientCapabilitiesKey]?.extensions?.[tasksExtension];
      if (method === "subscriptions/listen") return listen(id, params.notifications ?? {});
      const answer = answerTo(method, params, declared !== undefined);
      const status = "error" in answer && answer.error.code === -32021 ? 400 : 200;
      return Response.json({ jsonrpc: "2.0", id, ...answer }, { status });
    },
  });

  function answerTo(method: string, params: Record<string, unknown>, isDeclared: boolean) {
    const complete = (result: object) => ({ result: { resultType: "complete", ...result } });
    const error = (code: number, message: string, data?: object) => ({
      error: { code, message, data },
    });
    const hints = { ttlMs: 0, cacheScope: "private" };
    switch (method) {
      case "server/discover": {
        const capabilities = { tools: {}, ...requiredCapabilities };
        return complete({ supportedVersions: ["2026-07-28"], capabilities, ...hints });
      }
      case "tools/list":
        return complete({ tools: [{ name: "work", inputSchema: { type: "object" } }], ...hints });
      case "tools/call":
        if (!isDeclared) return error(-32021, "needs tasks", { requiredCapabilities });
        return { result: { ...task, resultType: "task" } };
      case "tasks/get":
      case "tasks/update":
      case "tasks/cancel":
        if (!isDeclared) return error(-32021, "needs tasks", { requiredCapabilities });
        if (params.taskId !== taskId) return error(-32602, `no task ${params.taskId}`);
        return complete(method === "tasks/get" ? task : {});
      default:
        return error(-32601, "Method not found");
    }
  }

  function listen(id: string | number, notifications: object): Response {
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        listeners.set(controller, id);
        tell(controller, id, "notifications/subscriptions/acknowledged", { notifications });
      },
      cancel(controller) {
        listeners.delete(controller);
      },
    });
    return new Response(stream, { headers: { "Content-Type": "text/event-stream" } });
  }

  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    seen,
    become(more) {
      task = { ...task, ...more };
      for (const [controller, id] of listeners) tell(controller, id, "notifications/tasks", task);
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function tell(
  controller: ReadableStreamDefaultController<Uint8Array>,
  id: unknown,
  method: string,
  params: object,
): void {
  const message = {
    jsonrpc: "2.0",
    method,
    params: { ...params, _meta: { [subscriptionKey]: id } },
  };
  controller.enqueue(Buffer.from(`data: ${JSON.stringify(message)}\n\n`));
}
