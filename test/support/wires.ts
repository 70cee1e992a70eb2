/**
 * The five ways an agent can reach the gateway, as one: open with a credential, send one raw JSON-RPC text, see what
 * comes back. The text is never checked or repaired on its way; assertions are the tests'.
 */
import { modernMeta } from "./modern-agent.ts";
import { openRawWebSocket } from "./raw-websocket.ts";

export const transports = ["http-legacy", "http-modern", "sse", "ws-legacy", "ws-modern"] as const;
export type Transport = (typeof transports)[number];
export type Era = "legacy" | "modern";

export interface WireOptions {
  readonly base: string;
  readonly scope: string;
  readonly token: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Headers of each request by itself: proofs and signatures are good for one. */
  readonly prove?: Prove;
}

export type Prove = (request: {
  readonly method: string;
  readonly url: string;
  readonly body: string;
  readonly token: string | undefined;
}) => Promise<Readonly<Record<string, string>>>;

const nothing: Prove = async () => ({});

export interface WireAnswer {
  /** The HTTP status of the request, or of the refused upgrade. */
  readonly status: number | undefined;
  /** Where the answer to a message was the end of its socket. */
  readonly closeCode: number | undefined;
  /** The JSON-RPC error code. */
  readonly code: number | undefined;
  readonly text: string;
  /** Every message of an answer that came as an event stream, in order. */
  readonly texts?: readonly string[];
  readonly headers: Headers;
}

export interface SendOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Instead of the wire's own. */
  readonly token?: string;
  /** Notifications have no answer on a socket or stream. */
  readonly isAnswered?: boolean;
  /** Ends the connection of one POST. */
  readonly signal?: AbortSignal;
}

export interface Wire extends AsyncDisposable {
  send(body: string | Uint8Array, options?: SendOptions): Promise<WireAnswer>;
  /** The next message where answers come over a stream or socket of their own; else there is none. */
  next?(): Promise<string>;
}

/** Every message that comes for one request, its answer last. */
export async function converse(wire: Wire, body: string): Promise<readonly string[]> {
  const first = await wire.send(body);
  if (wire.next === undefined) return first.texts ?? [first.text];
  const texts = [first.text];
  while (texts.at(-1)?.includes('"method":')) texts.push(await wire.next());
  return texts;
}

export type Opening = { readonly wire: Wire } | { readonly refusal: WireAnswer };

export function eraOf(transport: Transport): Era {
  return transport.endsWith("modern") ? "modern" : "legacy";
}

export function pathOf(transport: Transport, scope: string): string {
  const kind = transport === "sse" ? "sse" : transport.startsWith("ws") ? "ws" : "mcp";
  return `/${scope}/${kind}`;
}

export function openWire(transport: Transport, options: WireOptions): Promise<Opening> {
  switch (transport) {
    case "http-modern":
      return openModernHttp(options);
    case "http-legacy":
      return openLegacyHttp(options);
    case "sse":
      return openSse(options);
    case "ws-legacy":
    case "ws-modern":
      return openSocket(transport, options);
    default:
      return transport satisfies never;
  }
}

/** The wire, where nothing may refuse it. */
export async function mustOpenWire(transport: Transport, options: WireOptions): Promise<Wire> {
  const opening = await openWire(transport, options);
  if ("wire" in opening) return opening.wire;
  const { status, text } = opening.refusal;
  throw new Error(`${transport} was refused with ${status}: ${text}`);
}

export interface CallParts {
  readonly name?: string;
  readonly text?: string;
  readonly id?: number | string;
}

/** A well-formed `tools/call`, in the era's shape; the rows spoil it. */
export function callText(era: Era, parts: CallParts = {}): string {
  const { name = "echo", text = "canary", id = 1 } = parts;
  return requestText(era, "tools/call", { name, arguments: { text } }, id);
}

export function requestText(
  era: Era,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  id: number | string = 1,
): string {
  const meta = era === "modern" ? { _meta: modernMeta } : {};
  return JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, ...meta } });
}

const clientInfo = { name: "fault-suite", version: "1" };
const initializeText = requestText(
  "legacy",
  "initialize",
  { protocolVersion: "2025-11-25", capabilities: {}, clientInfo },
  "open",
);
const initializedText = '{"jsonrpc":"2.0","method":"notifications/initialized"}';

const none = new Headers();

async function post(
  url: string,
  body: string | Uint8Array,
  token: string | undefined,
  headers: Readonly<Record<string, string>>,
  { signal, prove = nothing }: { readonly signal?: AbortSignal; readonly prove?: Prove } = {},
): Promise<WireAnswer> {
  const proof = await prove({ method: "POST", url, body: String(body), token });
  const response = await fetch(url, {
    method: "POST",
    ...(signal === undefined ? {} : { signal }),
    body: typeof body === "string" ? body : new Blob([new Uint8Array(body)]),
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      ...headers,
      ...proof,
    },
  });
  const received = await response.text();
  const isStream = response.headers.get("content-type") === "text/event-stream";
  const texts = isStream ? eventsIn(received) : [received];
  const text = texts.at(-1) ?? "";
  return { ...answerOf({ status: response.status, text, headers: response.headers }), texts };
}

function answerOf(parts: Pick<WireAnswer, "status" | "text" | "headers">): WireAnswer {
  return { ...parts, closeCode: undefined, code: errorCodeIn(parts.text) };
}

function errorCodeIn(text: string): number | undefined {
  if (!text.startsWith("{")) return undefined;
  const code: unknown = JSON.parse(text).error?.code;
  return typeof code === "number" ? code : undefined;
}

function eventsIn(stream: string): readonly string[] {
  // The event that only tells its id has no message.
  const lines = stream.split("\n").filter((line) => line.startsWith("data: {"));
  return lines.map((line) => line.slice("data: ".length));
}

async function openModernHttp(options: WireOptions): Promise<Opening> {
  const url = options.base + pathOf("http-modern", options.scope);
  return {
    wire: {
      send: (body, more = {}) =>
        post(
          url,
          body,
          more.token ?? options.token,
          {
            "MCP-Protocol-Version": "2026-07-28",
            ...mirrors(body),
            ...options.headers,
            ...more.headers,
          },
          options,
        ),
      [Symbol.asyncDispose]: async () => {},
    },
  };
}

/** The headers a careful client would send; those of the plain call where the body cannot be read. */
function mirrors(body: string | Uint8Array): Record<string, string> {
  try {
    const { method, params } = JSON.parse(String(body));
    const name = params?.name ?? params?.uri ?? params?.taskId;
    return {
      ...(typeof method === "string" ? { "Mcp-Method": headerValue(method) } : {}),
      ...(typeof name === "string" ? { "Mcp-Name": headerValue(name) } : {}),
    };
  } catch {
    return { "Mcp-Method": "tools/call", "Mcp-Name": "echo" };
  }
}

function headerValue(value: string): string {
  if (/^[\x21-\x7e]+$/.test(value)) return value;
  return `=?base64?${Buffer.from(value).toString("base64")}?=`;
}

async function openLegacyHttp(options: WireOptions): Promise<Opening> {
  const url = options.base + pathOf("http-legacy", options.scope);
  const opened = await post(url, initializeText, options.token, { ...options.headers }, options);
  const sessionId = opened.headers.get("mcp-session-id");
  if (sessionId === null) return { refusal: opened };
  const session = { "Mcp-Session-Id": sessionId, "MCP-Protocol-Version": "2025-11-25" };
  const send = (body: string | Uint8Array, more: SendOptions = {}) =>
    post(
      url,
      body,
      more.token ?? options.token,
      { ...session, ...options.headers, ...more.headers },
      { ...options, ...more },
    );
  await send(initializedText);
  return { wire: { send, [Symbol.asyncDispose]: async () => {} } };
}

async function openSse(options: WireOptions): Promise<Opening> {
  const leaving = new AbortController();
  const url = options.base + pathOf("sse", options.scope);
  const { token: own, prove = nothing } = options;
  const proof = await prove({ method: "GET", url, body: "", token: own });
  const response = await fetch(url, {
    signal: leaving.signal,
    headers: {
      Accept: "text/event-stream",
      ...(own === undefined ? {} : { Authorization: `Bearer ${own}` }),
      ...options.headers,
      ...proof,
    },
  });
  if (response.status !== 200) {
    const { status, headers } = response;
    return { refusal: answerOf({ status, text: await response.text(), headers }) };
  }
  const events = dataLines(response);
  const endpoint = String((await events.next()).value);
  const send = async (body: string | Uint8Array, more: SendOptions = {}): Promise<WireAnswer> => {
    const token = more.token ?? options.token;
    const headers = { ...options.headers, ...more.headers };
    const taken = await post(options.base + endpoint, body, token, headers, options);
    if (taken.status !== 202 || more.isAnswered === false) return taken;
    const text = String((await events.next()).value);
    return answerOf({ status: taken.status, text, headers: taken.headers });
  };
  await send(initializeText);
  await send(initializedText, { isAnswered: false });
  const next = async () => String((await events.next()).value);
  return { wire: { send, next, [Symbol.asyncDispose]: async () => leaving.abort() } };
}

/** The text of each event, as it comes. */
async function* dataLines(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  const reader = response.body?.getReader();
  for (;;) {
    const next = await reader?.read();
    if (next === undefined || next.done) return;
    const lines = (rest + decoder.decode(next.value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data: ")) yield line.slice("data: ".length);
  }
}

async function openSocket(
  transport: "ws-legacy" | "ws-modern",
  options: WireOptions,
): Promise<Opening> {
  const path = pathOf(transport, options.scope);
  const { token: own, prove = nothing } = options;
  const proof = await prove({ method: "GET", url: options.base + path, body: "", token: own });
  const upgrade = await openRawWebSocket({
    base: options.base,
    path,
    headers: {
      "Sec-WebSocket-Protocol": "mcp",
      ...(own === undefined ? {} : { Authorization: `Bearer ${own}` }),
      ...options.headers,
      ...proof,
    },
  });
  if ("refusal" in upgrade) {
    const { status, body, headers } = upgrade.refusal;
    return { refusal: answerOf({ status, text: body, headers }) };
  }
  const { webSocket } = upgrade;
  const send = async (body: string | Uint8Array, more: SendOptions = {}): Promise<WireAnswer> => {
    webSocket.sendText(body);
    if (more.isAnswered === false) return answerOf({ status: undefined, text: "", headers: none });
    const next = await webSocket.next();
    if (typeof next === "string") return answerOf({ status: undefined, text: next, headers: none });
    return { status: undefined, closeCode: next, code: undefined, text: "", headers: none };
  };
  if (transport === "ws-legacy") {
    await send(initializeText);
    await send(initializedText, { isAnswered: false });
  }
  const next = async () => String(await webSocket.next());
  return { wire: { send, next, [Symbol.asyncDispose]: async () => webSocket[Symbol.dispose]() } };
}
