/** What a witness is, and the agents it may use: the SDKs' own clients, and HTTP by hand. */
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernTransport,
} from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { RelayFault } from "../../support/fault-relay.ts";
import type { WitnessServer } from "../../support/witness-server.ts";

export type Era = "legacy" | "modern";
/** Agent's era, server's era. */
export type EraWay = readonly [Era, Era];

export interface WitnessStage extends AsyncDisposable {
  /** The agent's endpoint: the relay in front of the gateway, in the scope of this run's server. */
  readonly url: string;
  readonly base: string;
  readonly scope: string;
  readonly token: string;
  readonly server: WitnessServer;
  /** Longest wait for one thing. */
  readonly patienceMs: number;
  /** Asks the gateway to end, where the witness has one of its own. */
  endGateway(): void;
}

export interface Witness {
  readonly fault: RelayFault;
  readonly title: string;
  readonly ways: readonly EraWay[];
  /** Rejects where the thing is not there. */
  readonly run: (stage: WitnessStage, agent: Era) => Promise<void>;
  /** What the rejection must say, so that no other failure passes for it. */
  readonly notices: RegExp;
  readonly hasOwnGateway?: boolean;
}

export const allWays: readonly EraWay[] = [
  ["legacy", "legacy"],
  ["legacy", "modern"],
  ["modern", "legacy"],
  ["modern", "modern"],
];
export const legacyAgents: readonly EraWay[] = [
  ["legacy", "legacy"],
  ["legacy", "modern"],
];

const identity = { name: "witness-agent", version: "1" };

export async function connectLegacy(stage: WitnessStage): Promise<Client & AsyncDisposable> {
  const client = new Client(identity);
  const transport = new StreamableHTTPClientTransport(new URL(stage.url), {
    requestInit: { headers: bearer(stage) },
  });
  await client.connect(transport);
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}

export async function connectModern(stage: WitnessStage): Promise<ModernClient & AsyncDisposable> {
  const client = new ModernClient(identity, {
    versionNegotiation: { mode: { pin: "2026-07-28" } },
  });
  const transport = new ModernTransport(new URL(stage.url), {
    requestInit: { headers: bearer(stage) },
  });
  await client.connect(transport);
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}

/** What both lines of the SDK say alike. */
export async function connectAgent(stage: WitnessStage, era: Era) {
  return era === "legacy" ? connectLegacy(stage) : connectModern(stage);
}

export function bearer({ token }: WitnessStage): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

export interface RawSession {
  post(body: object, more?: Readonly<Record<string, string>>): Promise<Response>;
  /** `GET` for the session's own stream, or to resume one. */
  get(more?: Readonly<Record<string, string>>): Promise<Response>;
  delete(): Promise<Response>;
}

/** A session of 2025-11-25 by hand. */
export async function openRaw(stage: WitnessStage): Promise<RawSession> {
  const headers: Record<string, string> = {
    ...bearer(stage),
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
  };
  const post: RawSession["post"] = (body, more = {}) =>
    fetch(stage.url, {
      method: "POST",
      headers: { ...headers, ...more },
      body: JSON.stringify({ jsonrpc: "2.0", ...body }),
    });
  const opened = await post({
    id: "open",
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: identity },
  });
  await opened.text();
  headers["Mcp-Session-Id"] = opened.headers.get("mcp-session-id") ?? "";
  headers["MCP-Protocol-Version"] = "2025-11-25";
  await (await post({ method: "notifications/initialized" })).text();
  return {
    post,
    get: (more = {}) =>
      fetch(stage.url, {
        headers: { ...headers, Accept: "text/event-stream", ...more },
      }),
    delete: () => fetch(stage.url, { method: "DELETE", headers }),
  };
}

/** Reads events until one holds the text, or the stream ends, or the time is over; returns all that came. */
export async function readUntil(
  { patienceMs }: WitnessStage,
  response: Response,
  wanted: string | RegExp,
): Promise<string> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  const isThere = (text: string) =>
    typeof wanted === "string" ? text.includes(wanted) : wanted.test(text);
  let text = "";
  const timer = setTimeout(() => void reader?.cancel().catch(() => {}), patienceMs);
  try {
    for (;;) {
      const next = await reader?.read();
      if (next === undefined || next.done) return text;
      text += decoder.decode(next.value, { stream: true });
      if (!isThere(text)) continue;
      await reader?.cancel();
      return text;
    }
  } finally {
    clearTimeout(timer);
  }
}
