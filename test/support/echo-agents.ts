/**
 * Agents of all three kinds that call the tiny server's tools and tell what they were told: one POST a call, a legacy
 * session, a WebSocket. The text they send is the call's name in every log. Used by the fault suites.
 */
import { callArguments, type Reply, readReply } from "./echo-reply.ts";
import { modernMeta, modernPost } from "./modern-agent.ts";

export interface EchoAgent extends Disposable {
  /** Calls `echo` (or `tool`) with this text. Rejects where the connection ended before the answer. */
  call(text: string, tool?: string): Promise<Reply>;
}

export interface EchoAgentOptions {
  /** `http://host:port` */
  readonly base: string;
  readonly token: string;
  readonly scope?: string;
}

export type OpenEchoAgent = (options: EchoAgentOptions) => Promise<EchoAgent>;

export const openModern: OpenEchoAgent = async ({ base, token, scope = "tiny" }) => ({
  async call(text, tool = "echo") {
    const params = { name: tool, arguments: callArguments(text) };
    const response = await modernPost({ base, scope, token, method: "tools/call", params });
    return readReply(await response.text());
  },
  [Symbol.dispose]() {},
});

const initialize = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "echo-agent", version: "1" },
};

export const openLegacy: OpenEchoAgent = async ({ base, token, scope = "tiny" }) => {
  let id = 0;
  const post = (method: string, params: object, headers: Readonly<Record<string, string>>) => {
    id += 1;
    return fetch(`${base}/${scope}/mcp`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        Authorization: `Bearer ${token}`,
        ...headers,
      },
      body: JSON.stringify({ jsonrpc: "2.0", id, method, params }),
    });
  };
  const opened = await post("initialize", initialize, {});
  const said = await opened.text();
  const session = opened.headers.get("mcp-session-id");
  if (session === null) throw new Error(`no session: ${opened.status} ${said}`);
  const headers = { "Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25" };
  return {
    async call(text, tool = "echo") {
      const params = { name: tool, arguments: callArguments(text) };
      const response = await post("tools/call", params, headers);
      return readReply(await response.text());
    },
    [Symbol.dispose]() {},
  };
};

export const openSocket: OpenEchoAgent = async ({ base, token, scope = "tiny" }) => {
  const waiting = new Map<number, PromiseWithResolvers<Reply>>();
  const socket = new WebSocket(`${base.replace("http", "ws")}/${scope}/ws`, {
    protocols: ["mcp"],
    headers: { authorization: `Bearer ${token}` },
  });
  const opened = Promise.withResolvers<void>();
  socket.onopen = () => opened.resolve();
  socket.onerror = () => opened.reject(new Error("the socket did not open"));
  socket.onmessage = ({ data }) => {
    const text = String(data);
    const { id } = JSON.parse(text);
    waiting.get(id)?.resolve(readReply(text));
    waiting.delete(id);
  };
  socket.onclose = () => {
    opened.reject(new Error("the socket was closed"));
    for (const one of waiting.values()) one.reject(new Error("the socket was closed"));
    waiting.clear();
  };
  await opened.promise;
  let id = 0;
  return {
    call(text, tool = "echo") {
      id += 1;
      const params = { name: tool, arguments: callArguments(text), _meta: modernMeta };
      const reply = Promise.withResolvers<Reply>();
      if (socket.readyState !== WebSocket.OPEN) reply.reject(new Error("the socket is closed"));
      else waiting.set(id, reply);
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params }));
      return reply.promise;
    },
    [Symbol.dispose]: () => socket.close(),
  };
};

export const agentKinds = { modern: openModern, legacy: openLegacy, socket: openSocket } as const;
