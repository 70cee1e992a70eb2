/**
 * The server of the fidelity suite: one era, one transport, JSON by hand. It keeps the params of every exchange as
 * they came, and answers with the exchange's own bytes.
 */
import { type Era, type Exchange, markedNumber, promptName, toolName } from "./exchange.ts";
import { renderObject } from "./json-texts.ts";

export interface FidelityServer extends AsyncDisposable {
  readonly url: string;
  readonly name: string;
  readonly era: Era;
  readonly kind: "http" | "ws";
}

/** What the test knows of the exchanges that run. */
export interface Running {
  find(number: number): Exchange | undefined;
  /** Source text of the params a server received; `undefined` where there were none. */
  note(number: number, paramsText: string | undefined): void;
}

export function startFidelityServer(
  era: Era,
  kind: "http" | "ws",
  running: Running,
): FidelityServer {
  const server = Bun.serve<undefined>({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request, bun) {
      if (kind === "ws") {
        const headers = { "sec-websocket-protocol": "mcp" };
        if (bun.upgrade(request, { headers, data: undefined })) return undefined;
        return new Response("upgrade only", { status: 426 });
      }
      if (request.method !== "POST") return new Response(null, { status: 405 });
      const texts = answerAll(era, await request.text(), running);
      const [only] = texts;
      if (only === undefined) return new Response(null, { status: 202 });
      const headers: Record<string, string> =
        era === "legacy" ? { "Mcp-Session-Id": `fidelity-${server.port}` } : {};
      if (texts.length === 1) {
        return new Response(only, { headers: { ...headers, "Content-Type": "application/json" } });
      }
      const events = texts.map((text) => `data: ${text.split(/\r\n|\r|\n/).join("\ndata: ")}\n\n`);
      const type = { "Content-Type": "text/event-stream" };
      return new Response(events.join(""), { headers: { ...headers, ...type } });
    },
    websocket: {
      message(socket, text) {
        for (const answer of answerAll(era, String(text), running)) socket.send(answer);
      },
    },
  });
  return {
    url: `${kind === "ws" ? "ws" : "http"}://127.0.0.1:${server.port}/mcp`,
    name: `${kind}-${era}`,
    era,
    kind,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** Every message that answers one: notifications first. */
function answerAll(era: Era, text: string, running: Running): readonly string[] {
  const { id, method, params } = JSON.parse(text);
  if (id === undefined) return [];
  const number = markedNumber(text);
  const exchange = number === undefined ? undefined : running.find(number);
  if (exchange === undefined || exchange.method !== method) {
    return [`{"jsonrpc":"2.0","id":${id},${JSON.stringify(answerOwn(era, method)).slice(1)}`];
  }
  running.note(exchange.number, paramsOf(text));
  const token = JSON.stringify(params?._meta?.progressToken ?? null);
  const before = exchange.notifications.map(({ method: kind, params: sent }) => {
    const replaced: Record<string, string> =
      kind === "notifications/progress" ? { progressToken: token } : {};
    return `{"jsonrpc":"2.0","method":"${kind}","params":${renderObject(sent, replaced)}}`;
  });
  const { kind, said } = exchange.answer;
  return [...before, `{"jsonrpc":"2.0","id":${id},"${kind}":${renderObject(said)}}`];
}

/** The gateway writes the frame of a message, so its params are what stands after it. */
function paramsOf(text: string): string | undefined {
  const at = text.indexOf('"params":');
  return at === -1 ? undefined : text.slice(at + '"params":'.length, -1);
}

/** What the gateway itself asks. */
function answerOwn(era: Era, method: string): object {
  const capabilities = { tools: {}, prompts: {}, resources: {}, completions: {}, logging: {} };
  const isModern = era === "modern";
  const own: Readonly<Record<string, object>> = {
    "tools/list": { tools: [{ name: toolName, inputSchema: { type: "object" } }] },
    "prompts/list": { prompts: [{ name: promptName }] },
    "resources/list": { resources: [] },
    "resources/templates/list": {
      resourceTemplates: [{ name: "note", uriTemplate: "note:///{id}" }],
    },
    ...(isModern
      ? { "server/discover": { supportedVersions: ["2026-07-28"], capabilities } }
      : {
          initialize: {
            protocolVersion: "2025-11-25",
            capabilities,
            serverInfo: { name: "fidelity", version: "1" },
          },
          "logging/setLevel": {},
          ping: {},
        }),
  };
  const result = own[method];
  if (result === undefined) return { error: { code: -32601, message: "Method not found" } };
  const hints = { resultType: "complete", ttlMs: 60_000, cacheScope: "private" };
  return { result: isModern ? { ...result, ...hints } : result };
}
