/**
 * A legacy server on SDK v1 whose tools ask the client's side what their arguments say: `ask` puts rounds of questions,
 * `visit` demands a URL by error -32042 the first time `for` each, `poll` ends its connection and expects the client to
 * come back. `rooted` is offered to clients with roots alone. It keeps every answer it got. No assertions here.
 */
import { Server as V1Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { EventStore } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import {
  CallToolRequestSchema,
  type JSONRPCMessage,
  ListToolsRequestSchema,
  ResultSchema,
  UrlElicitationRequiredError,
} from "@modelcontextprotocol/sdk/types.js";
import {
  CLIENT_CAPABILITIES_META_KEY,
  inputRequired,
  McpServer,
} from "@modelcontextprotocol/server";
import type { Behaviour } from "./behaviour.ts";

export interface Question {
  readonly method: string;
  readonly params?: Record<string, unknown>;
  /** Named as part of the call; over Streamable HTTP any other goes out on the session's own stream. */
  readonly related?: boolean;
  /** The server takes the question back after this time, in milliseconds. */
  readonly withdrawnAfterMs?: number;
  /** Waits this long before it asks, in milliseconds. */
  readonly afterMs?: number;
}

const form = { type: "object", properties: { name: { type: "string" } } };

/** Questions as servers put them. */
export const questions = {
  form: { method: "elicitation/create", params: { message: "Name?", requestedSchema: form } },
  url: {
    method: "elicitation/create",
    params: { mode: "url", message: "Visit", url: "https://x.example/", elicitationId: "e1" },
  },
  sample: {
    method: "sampling/createMessage",
    params: { messages: [{ role: "user", content: { type: "text", text: "hi" } }], maxTokens: 5 },
  },
  sampleWithTools: {
    method: "sampling/createMessage",
    params: { messages: [], maxTokens: 5, tools: [{ name: "t", inputSchema: { type: "object" } }] },
  },
  roots: { method: "roots/list" },
} as const;

const names = ["ask", "visit", "poll", "seen"];

export function createAskingServer(behaviour: Behaviour): V1Server {
  const { seen } = behaviour;
  const server = new V1Server(
    { name: "asking", version: "1.0.0" },
    { capabilities: { tools: {}, logging: {} } },
  );
  server.oninitialized = () => {
    seen.push(`client:${JSON.stringify(server.getClientCapabilities())}`);
  };
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [...names, ...(server.getClientCapabilities()?.roots ? ["rooted"] : [])].map((name) => ({
      name,
      inputSchema: { type: "object" as const },
    })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const args = params.arguments ?? {};
    extra.signal.addEventListener("abort", () => seen.push("cancelled"));
    const put = async (question: Question): Promise<unknown> => {
      const { method, params: asked, related = true, withdrawnAfterMs, afterMs } = question;
      if (afterMs !== undefined) await Bun.sleep(afterMs);
      const request = { method, ...(asked && { params: asked }) };
      const limit = withdrawnAfterMs === undefined ? {} : { timeout: withdrawnAfterMs };
      const asking = related
        ? extra.sendRequest(request as never, ResultSchema, limit)
        : server.request(request as never, ResultSchema, limit);
      return asking.catch((error: { code?: number }) => ({ error: error.code }));
    };
    const progress = async (step: number) => {
      const progressToken = params._meta?.progressToken;
      if (progressToken === undefined) return;
      const method = "notifications/progress" as const;
      await extra.sendNotification({ method, params: { progressToken, progress: step } });
    };
    switch (params.name) {
      case "ask": {
        const answers: unknown[] = [];
        let step = 0;
        for (const round of args.rounds as Question[][]) {
          step += 1;
          await progress(step);
          const answered = await Promise.all(round.map(put));
          seen.push(`answers:${JSON.stringify(answered)}`);
          answers.push(answered);
        }
        return text(JSON.stringify(answers));
      }
      case "visit": {
        const line = `visit:${args.for}`;
        seen.push(line);
        if (seen.filter((one) => one === line).length > 1) return text("visited");
        const { mode: _mode, ...rest } = questions.url.params;
        throw new UrlElicitationRequiredError([{ mode: "url", ...rest }]);
      }
      case "poll":
        extra.closeSSEStream?.();
        await Bun.sleep(Number(args.delay_ms));
        await progress(1);
        return text("polled");
      case "seen":
        return text(seen.join("\n"));
      default:
        throw new Error(`no tool ${params.name}`);
    }
  });
  return server;
}

/** A modern server: `ask` asks for a name and for roots, keeping state of its own, and says what it was told. */
export function createModernAskingServer({ seen }: Behaviour): McpServer {
  const mcp = new McpServer({ name: "asking", version: "1.0.0" }, { capabilities: { tools: {} } });
  mcp.registerTool("ask", {}, (context) => {
    const { inputResponses, requestState } = context.mcpReq;
    const envelope: Readonly<Record<string, unknown>> = { ...context.mcpReq.envelope };
    seen.push(JSON.stringify(envelope[CLIENT_CAPABILITIES_META_KEY]));
    if (inputResponses === undefined) {
      const name = inputRequired.elicit({
        message: "Name?",
        requestedSchema: { type: "object", properties: { name: { type: "string" } } },
      });
      const inputRequests = { name, roots: inputRequired.listRoots() };
      return inputRequired({ inputRequests, requestState: "its own" });
    }
    return text(JSON.stringify([requestState(), inputResponses]));
  });
  return mcp;
}

/** Keeps every event, in order; an id names its stream and its place. */
export function createEventStore(): EventStore {
  const events: { readonly stream: string; readonly message: JSONRPCMessage }[] = [];
  return {
    async storeEvent(stream, message) {
      events.push({ stream, message });
      return `${stream}/${events.length}`;
    },
    async getStreamIdForEventId(id) {
      return id.slice(0, id.lastIndexOf("/"));
    },
    async replayEventsAfter(lastId, { send }) {
      const stream = lastId.slice(0, lastId.lastIndexOf("/"));
      const from = Number(lastId.slice(lastId.lastIndexOf("/") + 1));
      for (const [at, event] of events.entries()) {
        const isLater = at >= from && event.stream === stream;
        // The priming event stands for no message.
        if (isLater && "jsonrpc" in event.message) await send(`${stream}/${at + 1}`, event.message);
      }
      return stream;
    },
  };
}

function text(value: string) {
  return { content: [{ type: "text" as const, text: value }] };
}
