/**
 * The least that can stand in the middle: passes HTTP bodies and WebSocket frames on, looks at nothing. The gateway's
 * cost is told as a multiple of this. First argument: the upstream's port. Prints its own; ends with its stdin.
 */
import { Agent, request as ask } from "node:http";

const upstreamPort = Number(process.argv[2]);
const agent = new Agent({ keepAlive: true, maxSockets: 1024, maxFreeSockets: 1024 });
const passedOn = ["content-type", "accept", "mcp-session-id", "mcp-protocol-version", "mcp-method"];

interface Leg {
  upstream: WebSocket | undefined;
  /** Frames that came before the upstream's socket was open. */
  readonly waiting: (string | Buffer)[];
}

const server = Bun.serve<Leg>({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  async fetch(incoming, self) {
    if (incoming.headers.get("upgrade") !== null) {
      const headers = { "Sec-WebSocket-Protocol": "mcp" };
      const data = { upstream: undefined, waiting: [] };
      const isUpgraded = self.upgrade(incoming, { headers, data });
      return isUpgraded ? undefined : new Response(null, { status: 400 });
    }
    return relay(incoming, await incoming.text());
  },
  websocket: {
    open(socket) {
      const upstream = new WebSocket(`ws://127.0.0.1:${upstreamPort}/ws`, "mcp");
      upstream.onopen = () => {
        for (const frame of socket.data.waiting.splice(0)) upstream.send(frame);
      };
      upstream.onmessage = (event) => socket.send(event.data);
      upstream.onclose = () => socket.close();
      socket.data.upstream = upstream;
    },
    message(socket, frame) {
      const { upstream, waiting } = socket.data;
      if (upstream?.readyState === WebSocket.OPEN) upstream.send(frame);
      else waiting.push(frame);
    },
    close: (socket) => socket.data.upstream?.close(),
  },
});

function relay(incoming: Request, body: string): Promise<Response> {
  const headers: Record<string, string> = { "content-length": String(Buffer.byteLength(body)) };
  for (const name of passedOn) {
    const value = incoming.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  const { method } = incoming;
  return new Promise((resolve, reject) => {
    const outgoing = ask(
      { agent, host: "127.0.0.1", port: upstreamPort, path: "/mcp", method, headers },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const answered = new Headers();
          for (const name of ["content-type", "mcp-session-id"]) {
            const value = response.headers[name];
            if (typeof value === "string") answered.set(name, value);
          }
          const text = chunks.length === 0 ? null : Buffer.concat(chunks);
          resolve(new Response(text, { status: response.statusCode ?? 502, headers: answered }));
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

console.log(JSON.stringify({ port: server.port }));
process.stdin.on("end", () => process.exit(0)).resume();
