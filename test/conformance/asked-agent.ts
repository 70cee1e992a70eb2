/**
 * An SDK client of either era that can be asked everything a server may ask: it accepts each form with the defaults
 * of its schema, answers each sampling request with one word, and has one root.
 */
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttpTransport,
} from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";

type Values = { readonly [name: string]: unknown };

export interface ListedTool {
  readonly name: string;
  readonly inputSchema: Values;
}

export interface AskedAgent extends AsyncDisposable {
  listTools(): Promise<readonly ListedTool[]>;
  callTool(name: string, values?: Values): Promise<unknown>;
  listResources(): Promise<readonly { readonly uri: string }[]>;
  readResource(uri: string): Promise<unknown>;
  listPrompts(): Promise<readonly { readonly name: string }[]>;
  getPrompt(name: string): Promise<unknown>;
}

const identity = { name: "conformance-agent", version: "1" };
const capabilities = {
  elicitation: { form: { applyDefaults: true } },
  sampling: {},
  roots: {},
};

const accepted = { action: "accept" as const, content: { confirmed: true } };
const sampled = {
  model: "none",
  role: "assistant" as const,
  content: { type: "text" as const, text: "yes" },
};
const listedRoots = { roots: [{ uri: "file:///workspace" }] };

export async function connectAskedAgent(era: "legacy" | "modern", url: URL): Promise<AskedAgent> {
  if (era === "legacy") {
    const client = new Client(identity, { capabilities });
    client.setRequestHandler(ElicitRequestSchema, () => accepted);
    client.setRequestHandler(CreateMessageRequestSchema, () => sampled);
    client.setRequestHandler(ListRootsRequestSchema, () => listedRoots);
    await client.connect(new StreamableHTTPClientTransport(url));
    return toAgent(client);
  }
  const versionNegotiation = { mode: { pin: "2026-07-28" } } as const;
  const client = new ModernClient(identity, { capabilities, versionNegotiation });
  client.setRequestHandler("elicitation/create", () => accepted);
  client.setRequestHandler("sampling/createMessage", () => sampled);
  client.setRequestHandler("roots/list", () => listedRoots);
  await client.connect(new ModernHttpTransport(url));
  return toAgent(client);
}

function toAgent(client: Client | ModernClient): AskedAgent {
  return {
    listTools: async () => (await client.listTools()).tools,
    callTool: (name, values = {}) => client.callTool({ name, arguments: { ...values } }),
    listResources: async () => (await client.listResources()).resources,
    readResource: (uri) => client.readResource({ uri }),
    listPrompts: async () => (await client.listPrompts()).prompts,
    getPrompt: (name) => client.getPrompt({ name }),
    [Symbol.asyncDispose]: () => client.close(),
  };
}
