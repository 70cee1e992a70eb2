/**
 * Load over WebSocket, the same for every target: N sockets, each with one tools/call outstanding at a time; or, with
 * any other kind, N of what is opened and left alone until stdin ends. A process of its own, pinned.
 * Arguments: a JSON object (`LoadOptions`). Prints one line of JSON.
 */
import { Agent, type ClientRequest, request } from "node:http";

/** Sockets and event streams without traffic, listens for changes, calls that wait for their agent's answer. */
export type HeldKind = "idle-ws" | "idle-sse" | "listen" | "parked";

export interface LoadOptions {
  readonly kind: "calls" | HeldKind;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly durationMs: number;
  readonly tool: string;
}

export interface LoadResult {
  readonly calls: number;
  readonly failed: number;
  readonly durationUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** At most this many handshakes at once: the kernel's queue of waiting connections is short. */
const openingMax = 50;

const streamAgent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });

function message(id: number, method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method, params });
}

const initializeParams = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "bench", version: "1.0.0" },
};

/** A socket past its opening handshake. */
function openSocket({ url, headers }: LoadOptions): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { protocols: ["mcp"], headers });
    socket.onopen = () => socket.send(message(0, "initialize", initializeParams));
    socket.onerror = () => reject(new Error(`cannot open ${url}`));
    socket.onclose = (event) => reject(new Error(`closed with ${event.code} ${event.reason}`));
    socket.onmessage = () => {
      socket.onclose = null;
      socket.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`);
      resolve(socket);
    };
  });
}

const modernMeta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": { elicitation: { form: {} } },
};

/** What each kind but sockets asks; nothing is posted for a plain event stream. */
const requests = {
  "idle-sse": undefined,
  listen: { method: "subscriptions/listen", params: { notifications: { toolsListChanged: true } } },
  parked: { method: "tools/call", params: { name: "ask", arguments: {} } },
} as const;

/**
 * An answer whose first event has come and is what it must be; it stays open where it has no end. By node:http,
 * because Bun's fetch stops at 256 at once.
 */
function openAnswer(
  { url, headers }: LoadOptions,
  kind: Exclude<HeldKind, "idle-ws">,
): Promise<ClientRequest> {
  const asked = requests[kind];
  const text = asked && message(1, asked.method, { ...asked.params, _meta: modernMeta });
  const more = asked && {
    accept: "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": asked.method,
    ...("name" in asked.params && { "mcp-name": asked.params.name }),
  };
  const wanted = { "idle-sse": "", listen: "acknowledged", parked: "input_required" }[kind];
  return new Promise((resolve, reject) => {
    const opening = request(
      url,
      {
        method: asked === undefined ? "GET" : "POST",
        headers: { ...headers, accept: "text/event-stream", ...more },
        agent: streamAgent,
      },
      (response) => {
        response.on("data", (bytes) => {
          // A slow one may say first that it is alive.
          const said = String(bytes).replace(/^:.*\n+/gm, "");
          if (said === "") return;
          if (response.statusCode === 200 && said.includes(wanted)) resolve(opening);
          else reject(new Error(`${url}: ${response.statusCode} ${said}`));
        });
        response.on("error", reject);
      },
    );
    opening.on("error", reject);
    opening.end(text);
  });
}

async function openAll<T>(count: number, open: () => Promise<T>): Promise<T[]> {
  const opened: T[] = [];
  while (opened.length < count) {
    const batch = Math.min(openingMax, count - opened.length);
    opened.push(...(await Promise.all(Array.from({ length: batch }, open))));
  }
  return opened;
}

async function runCalls(options: LoadOptions): Promise<LoadResult> {
  const sockets = await openAll(options.connections, () => openSocket(options));
  const before = `{"jsonrpc":"2.0","id":`;
  const params = { name: options.tool, arguments: { text: "hello" } };
  const after = `,"method":"tools/call","params":${JSON.stringify(params)}}`;
  const latenciesUs: number[] = [];
  let failed = 0;
  const startMs = performance.now();
  const endMs = startMs + options.durationMs;
  await Promise.all(sockets.map((socket) => callUntilEnd(socket)));
  const durationUs = (performance.now() - startMs) * 1000;
  for (const socket of sockets) socket.close();
  latenciesUs.sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(latenciesUs[Math.floor(latenciesUs.length * share)] ?? 0);
  const calls = latenciesUs.length;
  return { calls, failed, durationUs, p50Us: at(0.5), p99Us: at(0.99) };

  function callUntilEnd(socket: WebSocket): Promise<void> {
    let id = 0;
    let sentMs = 0;
    const send = () => {
      id += 1;
      sentMs = performance.now();
      socket.send(`${before}${id}${after}`);
    };
    return new Promise((resolve, reject) => {
      socket.onclose = (event) => reject(new Error(`closed with ${event.code} ${event.reason}`));
      socket.onmessage = (event) => {
        const now = performance.now();
        latenciesUs.push((now - sentMs) * 1000);
        if (!String(event.data).includes('"result"')) failed += 1;
        if (now < endMs) return send();
        socket.onclose = null;
        resolve();
      };
      send();
    });
  }
}

if (import.meta.main) {
  const options: LoadOptions = JSON.parse(process.argv[2] ?? "{}");
  if (options.kind === "calls") {
    console.log(JSON.stringify(await runCalls(options)));
    process.exit(0);
  }
  const { kind } = options;
  const open = () => (kind === "idle-ws" ? openSocket(options) : openAnswer(options, kind));
  const held = await openAll<unknown>(options.connections, open);
  console.log(JSON.stringify({ open: held.length }));
  process.stdin.on("end", () => process.exit(held.length === options.connections ? 0 : 1)).resume();
}
