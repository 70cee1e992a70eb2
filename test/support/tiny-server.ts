/**
 * A very small MCP server in this process, both eras, that remembers each call it saw: the upstream's own log in the
 * fault suites. Its `echo` tool answers with its argument; `slow` answers after `delay_ms`.
 */
export interface TinyServer extends AsyncDisposable {
  readonly url: string;
  /** `X-Request-ID` of every tools/call seen, in order. */
  readonly seen: readonly string[];
  /** The text of every tools/call seen, in order. */
  readonly texts: readonly string[];
}

const tools = ["echo", "slow"].map((name) => ({
  name,
  description: `${name}s its text`,
  inputSchema: {
    type: "object",
    properties: { text: { type: "string" }, delay_ms: { type: "integer" } },
  },
}));

interface TinyRequest {
  readonly id?: string | number;
  readonly method: string;
  readonly params?: {
    readonly name?: string;
    readonly arguments?: { readonly text?: string; readonly delay_ms?: number };
  };
}

export function startTinyServer(): TinyServer {
  const seen: string[] = [];
  const texts: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      if (request.method !== "POST") return new Response(null, { status: 405 });
      const message = (await request.json()) as TinyRequest;
      if (message.id === undefined) return new Response(null, { status: 202 });
      if (message.method === "tools/call") {
        seen.push(request.headers.get("x-request-id") ?? "");
        texts.push(message.params?.arguments?.text ?? "");
      }
      const delayMs =
        message.params?.name === "slow" ? (message.params.arguments?.delay_ms ?? 100) : 0;
      if (delayMs > 0) await Bun.sleep(delayMs);
      return Response.json({ jsonrpc: "2.0", id: message.id, ...answer(message) });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    seen,
    texts,
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
    },
  };
}

function answer(message: TinyRequest): object {
  const meta = { "io.modelcontextprotocol/serverInfo": { name: "tiny", version: "1" } };
  const hints = { ttlMs: 0, cacheScope: "private", _meta: meta, resultType: "complete" };
  switch (message.method) {
    case "server/discover":
      return {
        result: { supportedVersions: ["2026-07-28"], capabilities: { tools: {} }, ...hints },
      };
    case "tools/list":
      return { result: { tools, ...hints } };
    case "tools/call": {
      const text = message.params?.arguments?.text ?? "";
      return { result: { content: [{ type: "text", text }], resultType: "complete", _meta: meta } };
    }
    default:
      return { error: { code: -32601, message: "Method not found" } };
  }
}
