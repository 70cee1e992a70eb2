/**
 * Agents as people write them: the official SDK's clients, both lines, over every transport they speak, behind one
 * small interface. `agentKinds` is what a suite iterates over; asserts nothing.
 */
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttpTransport,
} from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { ClientCapabilities } from "@modelcontextprotocol/sdk/types.js";
import { createSocketTransport } from "./socket-transport.ts";

export interface CallOptions {
  readonly onprogress?: (progress: { readonly progress: number }) => void;
  readonly signal?: AbortSignal;
  /** Goes into the request's `_meta`. */
  readonly meta?: Answer;
}

type Answer = { readonly [member: string]: unknown };
type Named = { readonly name: string };

export interface SdkAgent extends AsyncDisposable {
  /** All pages, as definitions. */
  listTools(): Promise<readonly Named[]>;
  callTool(name: string, args?: Answer, options?: CallOptions): Promise<Answer>;
  listResources(): Promise<readonly { readonly uri: string }[]>;
  listResourceTemplates(): Promise<readonly { readonly uriTemplate: string }[]>;
  readResource(uri: string): Promise<Answer>;
  listPrompts(): Promise<readonly Named[]>;
  getPrompt(name: string, args?: Readonly<Record<string, string>>): Promise<Answer>;
  completePrompt(name: string, argument: { name: string; value: string }): Promise<Answer>;
  /** Resolves when the other side ended the connection; only transports that hold one open. */
  readonly closed: Promise<void>;
}

/** Where an agent connects, and as whom. */
export interface AgentPlace {
  /** `http://host:port` */
  readonly base: string;
  readonly scope?: string;
  readonly token?: string;
}

export interface AgentKind {
  readonly name: string;
  /** As the audit records name it. */
  readonly binding: "http" | "sse" | "websocket";
  connect(place: AgentPlace): Promise<SdkAgent>;
}

const identity = { name: "e2e", version: "1" };

export const agentKinds: readonly AgentKind[] = [
  {
    name: "SDK v1, Streamable HTTP",
    binding: "http",
    connect: (place) =>
      connectV1(
        new StreamableHTTPClientTransport(new URL(`${place.base}/${scopeOf(place)}/mcp`), {
          requestInit: { headers: headersOf(place) },
        }),
      ),
  },
  {
    name: "SDK v1, HTTP+SSE",
    binding: "sse",
    connect: (place) => {
      const headers = headersOf(place);
      return connectV1(
        new SSEClientTransport(new URL(`${place.base}/${scopeOf(place)}/sse`), {
          requestInit: { headers },
          eventSourceInit: {
            fetch: (input, init) =>
              fetch(input, { ...init, headers: { ...init?.headers, ...headers } }),
          },
        }),
      );
    },
  },
  {
    name: "SDK v1, WebSocket",
    binding: "websocket",
    connect: (place) => {
      const base = place.base.replace(/^http/, "ws");
      return connectV1(createSocketTransport(`${base}/${scopeOf(place)}/ws`, headersOf(place)));
    },
  },
  {
    name: "SDK v2, legacy",
    binding: "http",
    connect: (place) => connectV2(place, "legacy"),
  },
  {
    name: "SDK v2, 2026-07-28",
    binding: "http",
    connect: (place) => connectV2(place, { pin: "2026-07-28" }),
  },
];

export function needKind(name: string): AgentKind {
  const kind = agentKinds.find((one) => one.name === name);
  if (kind === undefined) throw new Error(`no agent "${name}"`);
  return kind;
}

/** An SDK client of a stdio server, the straight way; it says that it can do what is given. */
export function connectStdio(
  command: string,
  args: readonly string[],
  capabilities: ClientCapabilities = {},
): Promise<SdkAgent> {
  const transport = new StdioClientTransport({ command, args: [...args], stderr: "ignore" });
  return connectV1(transport, capabilities);
}

/** An SDK client of any Streamable HTTP endpoint, the straight way. */
export function connectHttp(url: string): Promise<SdkAgent> {
  return connectV1(new StreamableHTTPClientTransport(new URL(url)));
}

function scopeOf({ scope = "all" }: AgentPlace): string {
  return scope;
}

function headersOf({ token }: AgentPlace): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

async function connectV1(
  transport: Transport,
  capabilities: ClientCapabilities = {},
): Promise<SdkAgent> {
  const client = new Client(identity, { capabilities });
  const closed = untilClosed(client);
  await client.connect(transport);
  return toAgent(client, closed, (name, args, { meta, ...options }) =>
    client.callTool({ name, arguments: args, ...meta }, undefined, options),
  );
}

async function connectV2(
  place: AgentPlace,
  mode: "legacy" | { readonly pin: "2026-07-28" },
): Promise<SdkAgent> {
  const client = new ModernClient(identity, { versionNegotiation: { mode } });
  const closed = untilClosed(client);
  const url = new URL(`${place.base}/${scopeOf(place)}/mcp`);
  await client.connect(
    new ModernHttpTransport(url, { requestInit: { headers: headersOf(place) } }),
  );
  return toAgent(client, closed, (name, args, { meta, ...options }) =>
    client.callTool({ name, arguments: args, ...meta }, options),
  );
}

function untilClosed(client: { onclose?: (() => void) | undefined }): Promise<void> {
  return new Promise((resolve) => {
    client.onclose = resolve;
  });
}

type Cursor = { cursor?: string };
type Page<Member extends string, Element> = { readonly [member in Member]: readonly Element[] } & {
  readonly nextCursor?: string | undefined;
};

/** What both lines of the SDK's client have in common. */
interface EitherClient {
  listTools(page: Cursor): Promise<Page<"tools", Named>>;
  listResources(page: Cursor): Promise<Page<"resources", { uri: string }>>;
  listResourceTemplates(page: Cursor): Promise<Page<"resourceTemplates", { uriTemplate: string }>>;
  listPrompts(page: Cursor): Promise<Page<"prompts", Named>>;
  readResource(params: { uri: string }): Promise<Answer>;
  getPrompt(params: { name: string; arguments: Record<string, string> }): Promise<Answer>;
  complete(params: {
    ref: { type: "ref/prompt"; name: string };
    argument: { name: string; value: string };
  }): Promise<Answer>;
  close(): Promise<void>;
}

function toAgent(
  client: EitherClient,
  closed: Promise<void>,
  callTool: (
    name: string,
    args: { [member: string]: unknown },
    options: {
      onprogress?: CallOptions["onprogress"];
      signal?: AbortSignal;
      meta?: { _meta: { [member: string]: unknown } };
    },
  ) => Promise<Answer>,
): SdkAgent {
  return {
    listTools: () => allPages("tools", (page) => client.listTools(page)),
    callTool: (name, args = {}, { meta, ...options } = {}) =>
      callTool(name, { ...args }, { ...options, ...(meta && { meta: { _meta: { ...meta } } }) }),
    listResources: () => allPages("resources", (page) => client.listResources(page)),
    listResourceTemplates: () =>
      allPages("resourceTemplates", (page) => client.listResourceTemplates(page)),
    readResource: (uri) => client.readResource({ uri }),
    listPrompts: () => allPages("prompts", (page) => client.listPrompts(page)),
    getPrompt: (name, args = {}) => client.getPrompt({ name, arguments: { ...args } }),
    completePrompt: (name, argument) =>
      client.complete({ ref: { type: "ref/prompt", name }, argument }),
    closed,
    [Symbol.asyncDispose]: () => client.close(),
  };
}

const pagesMax = 50;

async function allPages<Member extends string, Element>(
  member: Member,
  ask: (page: Cursor) => Promise<Page<Member, Element>>,
): Promise<readonly Element[]> {
  const all: Element[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < pagesMax; page += 1) {
    const found = await ask(cursor === undefined ? {} : { cursor });
    all.push(...found[member]);
    cursor = found.nextCursor;
    if (cursor === undefined) return all;
  }
  throw new Error(`more than ${pagesMax} pages of ${member}`);
}
