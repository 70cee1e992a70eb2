/** A legacy agent on a bare WebSocket: every frame it gets is there to be looked at. It asserts nothing. */
import { initializeBody, legacyBody, type TestAgents, until } from "./agents.ts";

export interface SocketAgent extends AsyncDisposable {
  /** Frames that were not taken as an answer, in order. */
  readonly received: string[];
  send(text: string): void;
  /** Sends a request, and takes its answer out of what was received. */
  answer(method: string, params: Record<string, unknown>, id: number): Promise<TestAnswer>;
  initialized(): void;
  close(): void;
}

export interface TestAnswer {
  readonly result?: object;
  readonly error?: { readonly code: number; readonly message: string };
}

/** Opens a socket and is past `initialize`. */
export async function openSocketAgent(
  agents: TestAgents,
  { scope = "all", token = "alice", headers = {} } = {},
): Promise<SocketAgent> {
  const socket = new WebSocket(`ws://127.0.0.1:${agents.port}/${scope}/ws`, {
    protocols: ["mcp"],
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  const received: string[] = [];
  socket.onmessage = (event) => received.push(String(event.data));
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("the socket did not open"));
  });
  const send = (text: string) => socket.send(text);
  async function answer(method: string, params: Record<string, unknown>, id: number) {
    send(legacyBody(method, params, id));
    const isIt = (text: string) => text.includes(`"id":${id},`);
    await until(() => received.some(isIt));
    return JSON.parse(received.splice(received.findIndex(isIt), 1)[0] ?? "");
  }
  send(initializeBody("2025-11-25"));
  await until(() => received.length === 1);
  received.length = 0;
  return {
    received,
    send,
    answer,
    initialized: () => send('{"jsonrpc":"2.0","method":"notifications/initialized"}'),
    close: () => socket.close(),
    async [Symbol.asyncDispose]() {
      socket.close();
    },
  };
}
