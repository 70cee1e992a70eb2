/**
 * An agents' listener on a free loopback port over the fake pipeline, and the small clients its tests need: JSON-RPC
 * posts, raw TCP, event streams. No assertions.
 */
import { connect } from "node:net";
import { createAgentsListener } from "../../src/agents/listener.ts";
import { type AgentsOptions, defaultAgentsOptions } from "../../src/agents/options.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createEventParser } from "../../src/protocol/event-stream.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics, type Metrics } from "../../src/telemetry/metrics.ts";
import { createFakeDispatch, type FakeDispatch } from "./fake-dispatch.ts";

export const testTokens = { alice: "alice", alice2: "alice", bob: "bob" };

export interface TestAgents extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly dispatch: FakeDispatch;
  readonly metrics: Metrics;
  readonly listener: ReturnType<typeof createAgentsListener>;
  /** As if the operator had changed something. */
  swapSnapshot(): void;
}

export function startAgents(options: Partial<AgentsOptions> = {}): Promise<TestAgents> {
  return startAgentsOver(createFakeDispatch(testTokens), options);
}

/** The same over a pipeline of the test's own. */
export async function startAgentsOver<D extends FakeDispatch>(
  dispatch: D,
  options: Partial<AgentsOptions> = {},
): Promise<TestAgents & { readonly dispatch: D }> {
  const metrics = createMetrics();
  const watchers = new Set<() => void>();
  const listener = createAgentsListener({
    options: { ...defaultAgentsOptions, port: 0, ...options },
    dispatch,
    log: silentLog,
    metrics,
    clock: systemClock,
    snapshotChanges(changed) {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
    resourceMetadata: (resource, scope) =>
      scope === "private" ? undefined : { resource, authorization_servers: ["https://as"] },
    version: "0.0.0-test",
  });
  const { url, port } = await listener.start();
  return {
    url,
    port,
    dispatch,
    metrics,
    listener,
    swapSnapshot() {
      for (const changed of watchers) changed();
    },
    [Symbol.asyncDispose]: () => listener.stop(),
  };
}

const modernMeta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
};

export function modernBody(
  method: string,
  params: Record<string, unknown> = {},
  id: number | string = 1,
): string {
  const meta = { ...modernMeta, ...(params._meta as object | undefined) };
  return JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta: meta } });
}

export function legacyBody(
  method: string,
  params?: Record<string, unknown>,
  id: number | string = 1,
): string {
  const more = params === undefined ? {} : { params };
  return JSON.stringify({ jsonrpc: "2.0", id, method, ...more });
}

export function initializeBody(revision = "2025-11-25", capabilities: object = {}): string {
  const clientInfo = { name: "test", version: "1" };
  return legacyBody("initialize", { protocolVersion: revision, capabilities, clientInfo });
}

export interface PostOptions {
  /** What the client of a new session declares. */
  readonly capabilities?: object;
  readonly path?: string;
  readonly token?: string | null;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

export function post(
  agents: TestAgents,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream,
  options: PostOptions = {},
): Promise<Response> {
  const token = options.token === undefined ? "alice" : options.token;
  return fetch(`http://127.0.0.1:${agents.port}${options.path ?? "/mcp"}`, {
    method: "POST",
    body,
    signal: options.signal ?? null,
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...options.headers,
    },
  });
}

export function postModern(
  agents: TestAgents,
  method: string,
  params: Record<string, unknown> = {},
  options: PostOptions = {},
): Promise<Response> {
  const name = params.name ?? params.uri;
  return post(agents, modernBody(method, params), {
    ...options,
    headers: {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      ...(typeof name === "string" ? { "mcp-name": name } : {}),
      ...options.headers,
    },
  });
}

/** Opens a legacy session and returns its id. */
export async function openSession(
  agents: TestAgents,
  revision = "2025-11-25",
  options: PostOptions = {},
): Promise<string> {
  const response = await post(agents, initializeBody(revision, options.capabilities), options);
  const body = await response.text();
  const id = response.headers.get("mcp-session-id");
  if (id === null) throw new Error(`no session: ${response.status} ${body}`);
  return id;
}

/** Sends bytes as they are and returns what came back until the peer closed, or a whole response was there. */
export function rawExchange(
  port: number,
  bytes: string | Buffer,
  isEnough: (received: string) => boolean = isWholeResponse,
): Promise<string> {
  return new Promise((resolve) => {
    let received = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const deadline = setTimeout(() => socket.destroy(), 5_000);
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      if (isEnough(received)) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(deadline);
      resolve(received);
    });
  });
}

function isWholeResponse(received: string): boolean {
  const end = received.indexOf("\r\n\r\n");
  if (end === -1) return false;
  const length = /content-length: *([0-9]+)/i.exec(received.slice(0, end))?.[1];
  return length !== undefined && received.length >= end + 4 + Number(length);
}

export interface TestEvent {
  readonly type: string;
  readonly text: string;
}

/** Events of a stream, one by one. */
export async function* eventsOf(response: Response): AsyncGenerator<TestEvent> {
  const ready: TestEvent[] = [];
  const lineBytesMax = 64 * 1024 * 1024;
  const parser = createEventParser({ lineBytesMax, onEvent: (event) => ready.push(event) });
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  for (;;) {
    const next = await reader?.read();
    if (next === undefined || next.done) return;
    parser.push(decoder.decode(next.value, { stream: true }));
    for (let event = ready.shift(); event !== undefined; event = ready.shift()) yield event;
  }
}

/** Polls until the condition holds; gives up after five seconds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAtMs = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > giveUpAtMs) throw new Error("the condition did not come true in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
