/**
 * A modern MCP server in this process whose lists come in pages and which completes a prompt's argument: what the
 * sample servers do not do. Its cursors are opaque and worth nothing in another list.
 */
export interface PagedServer extends AsyncDisposable {
  readonly url: string;
}

interface PagedRequest {
  readonly id?: string | number;
  readonly method: string;
  readonly params?: { readonly cursor?: string; readonly argument?: { readonly value?: string } };
}

const pageSize = 2;
const colours = ["blue", "black", "brown", "green", "grey"];
const tools = colours.map((name) => ({ name, inputSchema: { type: "object" } }));
const prompts = colours.map((name) => ({ name, arguments: [{ name: "shade" }] }));

export function startPagedServer(): PagedServer {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      if (request.method !== "POST") return new Response(null, { status: 405 });
      const message = (await request.json()) as PagedRequest;
      if (message.id === undefined) return new Response(null, { status: 202 });
      return Response.json({ jsonrpc: "2.0", id: message.id, ...answer(message) });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function answer({ method, params }: PagedRequest): object {
  const common = { ttlMs: 0, cacheScope: "private", resultType: "complete" };
  switch (method) {
    case "server/discover":
      return {
        result: {
          supportedVersions: ["2026-07-28"],
          capabilities: { tools: {}, prompts: {}, completions: {} },
          ...common,
        },
      };
    case "tools/list":
      return page("tools", tools, params?.cursor, common);
    case "prompts/list":
      return page("prompts", prompts, params?.cursor, common);
    case "completion/complete": {
      const values = colours.filter((colour) => colour.startsWith(params?.argument?.value ?? ""));
      return { result: { completion: { values, hasMore: false }, ...common } };
    }
    default:
      return { error: { code: -32601, message: "Method not found" } };
  }
}

function page(member: string, all: readonly object[], cursor: string | undefined, common: object) {
  const start = cursor === undefined ? 0 : Number(cursor.replace(`${member}-from-`, ""));
  if (!Number.isInteger(start)) return { error: { code: -32602, message: "Invalid cursor" } };
  const next = start + pageSize;
  const more = next < all.length ? { nextCursor: `${member}-from-${next}` } : {};
  return { result: { [member]: all.slice(start, next), ...more, ...common } };
}
