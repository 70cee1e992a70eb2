/**
 * Connections that an agent holds open, bare, on each transport that has them: the WebSocket, the HTTP+SSE stream and
 * the GET stream of a Streamable HTTP session. Each tells when and how the gateway ended it.
 */
export interface OpenStream extends Disposable {
  /** Resolves when the gateway ends it: with the close code on a WebSocket, with 0 elsewhere. */
  readonly ended: Promise<number>;
}

export interface StreamPlace {
  /** `http://host:port` */
  readonly base: string;
  readonly token: string;
}

export const openStreams: Readonly<Record<string, (place: StreamPlace) => Promise<OpenStream>>> = {
  WebSocket: openSocket,
  "HTTP+SSE": (place) => openEventStream(`${place.base}/all/sse`, headersOf(place)),
  "Streamable HTTP's GET stream": openSessionStream,
};

const initialize = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "bare-agent", version: "1" },
  },
};

function headersOf({ token }: StreamPlace): Record<string, string> {
  return { Authorization: `Bearer ${token}`, Accept: "application/json, text/event-stream" };
}

function openSocket(place: StreamPlace): Promise<OpenStream> {
  const headers = headersOf(place);
  const url = `${place.base.replace(/^http/, "ws")}/ws`;
  const socket = new WebSocket(url, { protocols: ["mcp"], headers });
  const ended = new Promise<number>((resolve) => {
    socket.onclose = (event) => resolve(event.code);
  });
  return new Promise((resolve, reject) => {
    socket.onerror = () => reject(new Error("the socket did not open"));
    socket.onopen = () => socket.send(JSON.stringify(initialize));
    socket.onmessage = () => resolve({ ended, [Symbol.dispose]: () => socket.close() });
  });
}

async function openSessionStream(place: StreamPlace): Promise<OpenStream> {
  const url = `${place.base}/mcp`;
  const headers = headersOf(place);
  const opened = await fetch(url, {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify(initialize),
  });
  await opened.text();
  const session = opened.headers.get("mcp-session-id") ?? "";
  return openEventStream(url, { ...headers, "Mcp-Session-Id": session });
}

async function openEventStream(url: string, headers: Record<string, string>): Promise<OpenStream> {
  const stop = new AbortController();
  const response = await fetch(url, { headers, signal: stop.signal });
  if (response.status !== 200) throw new Error(`no stream: ${response.status}`);
  const read = async () => {
    for await (const _ of response.body ?? []) {
      // Only its end matters.
    }
    return 0;
  };
  // An abrupt end is an end too.
  const ended = read().catch(() => 0);
  return { ended, [Symbol.dispose]: () => stop.abort() };
}
