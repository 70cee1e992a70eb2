/**
 * An MCP server of revision 2026-07-28 that keeps every `tools/call` it saw, bytes and headers, and misbehaves by
 * script: a tool with a script answers whatever the script says. `echo` and `secret` answer with their text.
 */
import { modernMeta } from "./modern-agent.ts";

export interface SeenCall {
  readonly name: string;
  /** The body as it came over the wire. */
  readonly body: string;
  readonly headers: Headers;
}

export interface ScriptedServer extends AsyncDisposable {
  readonly url: string;
  readonly seen: readonly SeenCall[];
  /** Calls whose caller went away before they were answered. */
  readonly cancelled: readonly string[];
  /** Tells every listener, with its subscription's id, whatever it asked to hear. */
  tell(method: string, params?: object): void;
}

/** The part of a request's params that scripts look at. */
export interface ScriptParams {
  readonly _meta?: { readonly progressToken?: string | number };
}

/** The one task it knows, which a script may answer with. */
export const scriptedTask = {
  taskId: "the server's own id",
  status: "working",
  createdAt: "2026-11-21T00:00:00Z",
  lastUpdatedAt: "2026-11-21T00:00:00Z",
  ttlMs: null,
} as const;

/** What a tool answers, given the request's id. */
export type Script = (id: string | number, params?: ScriptParams) => Response | Promise<Response>;

const serverInfo = { name: "scripted", version: "1" };
const complete = {
  resultType: "complete",
  _meta: { "io.modelcontextprotocol/serverInfo": serverInfo },
};

/** `schemas` are tools' input schemas, by name; any object where there is none. */
export function startScriptedServer(
  scripts: Readonly<Record<string, Script>> = {},
  schemas: Readonly<Record<string, object>> = {},
): ScriptedServer {
  const seen: SeenCall[] = [];
  const cancelled: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 120,
    async fetch(request) {
      if (request.method !== "POST") return new Response(null, { status: 405 });
      const body = await request.text();
      const { id, method, params } = JSON.parse(body);
      if (id === undefined) return new Response(null, { status: 202 });
      if (method === "subscriptions/listen") return listen(id, params.notifications);
      if (method !== "tools/call") return Response.json({ jsonrpc: "2.0", id, ...answer(method) });
      const name: string = params.name;
      seen.push({ name, body, headers: request.headers });
      request.signal.addEventListener("abort", () => cancelled.push(name));
      const script = scripts[name];
      if (script !== undefined) return script(id, params);
      if (name === "slow") await Bun.sleep(params.arguments.delay_ms);
      const { text } = params.arguments;
      const content = [{ type: "text", text: typeof text === "string" ? text : "not a string" }];
      return Response.json({ jsonrpc: "2.0", id, result: { content, ...complete } });
    },
  });

  const names = ["echo", "secret", "slow", ...Object.keys(scripts)];
  const hints = { ttlMs: 0, cacheScope: "private", ...complete };
  const capabilities = {
    tools: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    extensions: { "io.modelcontextprotocol/tasks": {} },
  };
  const answers: Readonly<Record<string, object>> = {
    "server/discover": {
      supportedVersions: [modernMeta["io.modelcontextprotocol/protocolVersion"]],
      capabilities,
      ...hints,
    },
    "tools/list": {
      tools: names.map((name) => ({ name, inputSchema: schemas[name] ?? { type: "object" } })),
      ...hints,
    },
    "resources/list": {
      resources: ["open", "closed"].map((name) => ({ name, uri: `note:///${name}` })),
      ...hints,
    },
    "tasks/get": { ...scriptedTask, ...complete },
    "resources/read": { contents: [{ uri: "note:///open", text: "read" }], ...hints },
  };
  function answer(method: string): object {
    const result = answers[method];
    if (result !== undefined) return { result };
    return { error: { code: -32601, message: "Method not found" } };
  }

  const listeners = new Map<string | number, (text: string) => void>();

  function listen(id: string | number, notifications: object): Response {
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        const send = (text: string) => controller.enqueue(Buffer.from(`data: ${text}\n\n`));
        listeners.set(id, send);
        send(notification(id, "notifications/subscriptions/acknowledged", { notifications }));
      },
      cancel: () => void listeners.delete(id),
    });
    return new Response(stream, { headers: { "Content-Type": "text/event-stream" } });
  }

  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    seen,
    cancelled,
    tell(method, params = {}) {
      for (const [id, send] of listeners) send(notification(id, method, params));
    },
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
    },
  };
}

function notification(id: string | number, method: string, params: object): string {
  const _meta = { "io.modelcontextprotocol/subscriptionId": id };
  return JSON.stringify({ jsonrpc: "2.0", method, params: { ...params, _meta } });
}
