/**
 * An MCP client for the shell: the official SDK's client towards the gateway, over any of the three transports. Used
 * by list-servers, list-tools, invoke and the demo's tour.
 */
import { readFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { McpError, type Tool } from "@modelcontextprotocol/sdk/types.js";
import { readClientEnvironment } from "../config/load.ts";
import { version } from "../lib/version.ts";
import { CommandError, exitCodes, messageOf } from "./command.ts";
import { createWebSocketTransport } from "./websocket-transport.ts";

export type AgentTransport = "http" | "sse" | "websocket";

export interface AgentOptions {
  /** `http://host:port` of the agents' listener. */
  readonly url: string;
  readonly scope: string;
  readonly token: string | undefined;
  readonly transport: AgentTransport;
}

export const agentFlags = {
  url: { type: "string" },
  "token-file": { type: "string" },
  json: { type: "boolean" },
} as const;

export const agentFlagsHelp = `
  --url URL          the agents' listener [http://127.0.0.1:8000]
  --token-file FILE  the client's token
  --json             print JSON`;

const toolPagesMax = 100;

/** Where to connect and as whom: flags, then the environment, then this machine. */
export function readAgentOptions(
  values: { readonly url?: string | undefined; readonly "token-file"?: string | undefined },
  scope: string,
): AgentOptions {
  const environment = readClientEnvironment();
  const url = values.url ?? environment.url ?? "http://127.0.0.1:8000";
  const file = values["token-file"] ?? environment.tokenFile;
  return { url: url.replace(/\/+$/, ""), scope, token: readToken(file), transport: "http" };
}

/** The token in a file, without white space around it; undefined where no file is named. */
export function readToken(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new CommandError(`--token-file: ${messageOf(error)}`);
  }
}

/** Connects, works and closes; failures become `CommandError`s with the right exit code. */
export async function withAgent<Result>(
  options: AgentOptions,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = new Client({ name: "mcp-gateway-cli", version });
  try {
    await client.connect(createTransport(options));
    return await work(client);
  } catch (error) {
    throw toCommandError(error, options.url);
  } finally {
    await client.close().catch(() => {});
  }
}

/** Every tool of the scope, page by page. */
export async function listAllTools(client: Client): Promise<readonly Tool[]> {
  const tools: Tool[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < toolPagesMax; page += 1) {
    const found = await client.listTools(cursor === undefined ? {} : { cursor });
    tools.push(...found.tools);
    cursor = found.nextCursor;
    if (cursor === undefined) break;
  }
  return tools;
}

function createTransport({ url, scope, token, transport }: AgentOptions): Transport {
  const headers: Record<string, string> =
    token === undefined ? {} : { Authorization: `Bearer ${token}` };
  switch (transport) {
    case "http":
      return new StreamableHTTPClientTransport(new URL(`${url}/${scope}/mcp`), {
        requestInit: { headers },
      });
    case "sse":
      return new SSEClientTransport(new URL(`${url}/${scope}/sse`), { requestInit: { headers } });
    case "websocket":
      return createWebSocketTransport(`${url.replace(/^http/, "ws")}/${scope}/ws`, headers);
    default: {
      const never: never = transport;
      throw new Error(`no transport ${String(never)}`);
    }
  }
}

function toCommandError(error: unknown, url: string): CommandError {
  if (error instanceof CommandError) return error;
  if (error instanceof McpError) return new CommandError(error.message, exitCodes.failed);
  const text = messageOf(error);
  const hasNobody = /ECONNREFUSED|Unable to connect|ConnectionRefused/i.test(text);
  if (!hasNobody) return new CommandError(text, exitCodes.failed, { cause: error });
  const message = `nobody answers at ${url}; is the gateway running there? (--url URL)`;
  return new CommandError(message, exitCodes.unreachable);
}
