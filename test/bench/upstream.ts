/**
 * The MCP server behind everything the bench measures: canned answers over HTTP and WebSocket in both eras, as fast
 * as Bun.serve can give them, so that what stands in front of it is what shows. The tool `ask` of the legacy era puts a
 * question and waits; a modern listen is acknowledged and silent. Prints its port; ends with its stdin.
 */
const serverInfo = { name: "bench-upstream", version: "1.0.0" };
const answerText = "The quick brown fox jumps over the lazy dog. ".repeat(6);
const tool = {
  name: "echo",
  description: "Answers with a canned text",
  inputSchema: { type: "object", properties: { text: { type: "string" } } },
};

const capabilities = { tools: {} };
const modernCapabilities = { tools: { listChanged: true } };
const modern = {
  resultType: "complete",
  _meta: { "io.modelcontextprotocol/serverInfo": serverInfo },
};
const cacheable = { ttlMs: 0, cacheScope: "private" };

/** Method to the result's JSON text, for each era. */
const legacyResults = textOf({
  initialize: { protocolVersion: "2025-11-25", capabilities, serverInfo },
  ping: {},
  "tools/list": { tools: [tool, { name: "ask", inputSchema: { type: "object" } }] },
  "tools/call": { content: [{ type: "text", text: answerText }] },
});
const modernResults = textOf({
  "server/discover": {
    supportedVersions: ["2026-07-28"],
    capabilities: modernCapabilities,
    ...cacheable,
    ...modern,
  },
  "tools/list": { tools: [tool], ...cacheable, ...modern },
  "tools/call": { content: [{ type: "text", text: answerText }], ...modern },
});

function textOf(results: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(results).map(([name, one]) => [name, JSON.stringify(one)]));
}

const question = {
  method: "elicitation/create",
  params: {
    message: "Which region?",
    requestedSchema: { type: "object", properties: { region: { type: "string" } } },
  },
};

/** The first message of an answer that does not come to its end; undefined for one that does. */
function firstOfMany(message: string): string | undefined {
  if (message.includes('"name":"ask"')) {
    return JSON.stringify({ jsonrpc: "2.0", id: crypto.randomUUID(), ...question });
  }
  if (!message.includes('"method":"subscriptions/listen"')) return undefined;
  const _meta = { "io.modelcontextprotocol/subscriptionId": JSON.parse(message).id };
  const params = { notifications: { toolsListChanged: true }, _meta };
  const method = "notifications/subscriptions/acknowledged";
  return JSON.stringify({ jsonrpc: "2.0", method, params });
}

function openStream(first: string): Response {
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(`event: message\ndata: ${first}\n\n`),
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
}

/** The answer to one message, or undefined for a notification. Finds what it needs without parsing the rest. */
function answer(message: string): string | undefined {
  const method = /"method":"([^"]+)"/.exec(message)?.[1] ?? "";
  const id = /"id":("[^"]*"|\d+)/.exec(message)?.[1];
  if (id === undefined || method.startsWith("notifications/")) return undefined;
  const isModern = message.includes("io.modelcontextprotocol/protocolVersion");
  const result = (isModern ? modernResults : legacyResults).get(method);
  if (result !== undefined) return `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
  return `{"jsonrpc":"2.0","id":${id},"error":{"code":-32601,"message":"Method not found"}}`;
}

const json = { "Content-Type": "application/json" };

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  async fetch(request, self) {
    if (request.headers.get("upgrade") !== null) {
      const headers = { "Sec-WebSocket-Protocol": "mcp" };
      return self.upgrade(request, { headers }) ? undefined : new Response(null, { status: 400 });
    }
    if (request.method === "DELETE") return new Response(null, { status: 200 });
    if (request.method !== "POST") return new Response(null, { status: 405 });
    const message = await request.text();
    const first = firstOfMany(message);
    if (first !== undefined) return openStream(first);
    const reply = answer(message);
    if (reply === undefined) return new Response(null, { status: 202 });
    const opens = message.includes('"method":"initialize"');
    const headers = opens ? { ...json, "Mcp-Session-Id": crypto.randomUUID() } : json;
    return new Response(reply, { headers });
  },
  websocket: {
    message(socket, message) {
      const reply = answer(String(message));
      if (reply !== undefined) socket.send(reply);
    },
  },
});

console.log(JSON.stringify({ port: server.port }));
process.stdin.on("end", () => process.exit(0)).resume();
