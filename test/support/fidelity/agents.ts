/**
 * The agents of the fidelity suite: JSON by hand over HTTP and WebSocket in both eras. An agent sends one request's
 * text and collects every text that came for it, in order, the answer last.
 */
import { within } from "../deadline.ts";
import { type Era, type Exchange, markedNumber } from "./exchange.ts";
import { renderObject } from "./json-texts.ts";

export interface Heard {
  readonly notifications: readonly string[];
  readonly answer: string;
  /** Events cannot hold a carriage return: line breaks between tokens may have become line feeds. */
  readonly isEvents: boolean;
}

export interface FidelityAgent extends AsyncDisposable {
  readonly era: Era;
  ask(exchange: Exchange): Promise<Heard>;
}

export interface AgentPlace {
  readonly base: string;
  readonly scope: string;
  readonly token: string;
}

const patienceMs = 120_000;
const initialize = JSON.stringify({
  jsonrpc: "2.0",
  id: "open",
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "fidelity", version: "1" },
  },
});
const initialized = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
const setLevel =
  '{"jsonrpc":"2.0","id":"level","method":"logging/setLevel","params":{"level":"debug"}}';

export function requestText({ idText, method, params }: Exchange): string {
  return `{"jsonrpc":"2.0","id":${idText},"method":"${method}","params":${renderObject(params)}}`;
}

export async function openHttpAgent(era: Era, place: AgentPlace): Promise<FidelityAgent> {
  const url = `${place.base}/${place.scope}/mcp`;
  const session: Record<string, string> = {};
  const post = (body: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(url, {
      method: "POST",
      body,
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        Authorization: `Bearer ${place.token}`,
        ...session,
        ...headers,
      },
    });
  if (era === "legacy") {
    const opened = await post(initialize);
    session["Mcp-Session-Id"] = opened.headers.get("mcp-session-id") ?? "";
    session["MCP-Protocol-Version"] = "2025-11-25";
    await opened.text();
    for (const text of [initialized, setLevel]) await (await post(text)).text();
  }
  return {
    era,
    async ask(exchange) {
      const response = await post(requestText(exchange), era === "modern" ? mirrors(exchange) : {});
      const text = await response.text();
      const isEvents = response.headers.get("content-type") === "text/event-stream";
      const texts = isEvents ? readEvents(text) : [text];
      return { notifications: texts.slice(0, -1), answer: texts.at(-1) ?? "", isEvents };
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Each event's data, its lines joined again. */
function readEvents(stream: string): readonly string[] {
  return stream.split("\n\n").flatMap((event) => {
    const lines = event.split("\n").filter((line) => line.startsWith("data: "));
    const text = lines.map((line) => line.slice("data: ".length)).join("\n");
    return text === "" ? [] : [text];
  });
}

function mirrors({ method, params }: Exchange): Record<string, string> {
  const { name, uri } = JSON.parse(renderObject(params));
  const target: unknown = method === "resources/read" ? uri : name;
  return {
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": method,
    ...(typeof target === "string" ? { "Mcp-Name": target } : {}),
  };
}

export async function openSocketAgent(era: Era, place: AgentPlace): Promise<FidelityAgent> {
  const url = `${place.base.replace(/^http/, "ws")}/${place.scope}/ws`;
  const headers = { Authorization: `Bearer ${place.token}` };
  const socket = new WebSocket(url, { protocols: ["mcp"], headers });
  const waiting = new Map<string, (text: string) => void>();
  const notifications = new Map<number, string[]>();
  const dead = Promise.withResolvers<never>();
  dead.promise.catch(() => {});
  const opened = Promise.withResolvers<void>();
  socket.onopen = () => opened.resolve();
  socket.onclose = ({ code }) => {
    opened.reject(new Error(`closed with ${code}`));
    dead.reject(new Error(`closed with ${code}`));
  };
  socket.onmessage = ({ data }) => {
    const text = String(data);
    const answered = /^\{"jsonrpc":"2\.0","id":(.*?),"(?:result|error)":/.exec(text)?.[1];
    if (answered === undefined) {
      const number = markedNumber(text) ?? -1;
      notifications.set(number, [...(notifications.get(number) ?? []), text]);
      return;
    }
    waiting.get(answered)?.(text);
    waiting.delete(answered);
  };
  const exchangeText = (idText: string, text: string): Promise<string> => {
    const answer = new Promise<string>((resolve) => waiting.set(idText, resolve));
    socket.send(text);
    return within(`the answer to ${idText}`, Promise.race([answer, dead.promise]), patienceMs);
  };
  await opened.promise;
  if (era === "legacy") {
    await exchangeText('"open"', initialize);
    socket.send(initialized);
    await exchangeText('"level"', setLevel);
  }
  return {
    era,
    async ask(exchange) {
      const answer = await exchangeText(exchange.idText, requestText(exchange));
      const heard = notifications.get(exchange.number) ?? [];
      notifications.delete(exchange.number);
      return { notifications: heard, answer, isEvents: false };
    },
    [Symbol.asyncDispose]: async () => socket.close(),
  };
}
