/**
 * `bridge`: stdio MCP on this side, Streamable HTTP to the gateway on the other, message by message in both
 * directions, for desktop clients that only start processes. It understands no method but the handshake's answer.
 */
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { readClientEnvironment } from "../config/load.ts";
import { readToken } from "./agent-client.ts";
import { type Command, exitCodes, messageOf, UsageError, untilStopped } from "./command.ts";
import { needPositionals, parseFlags } from "./flags.ts";
import type { Output } from "./output.ts";

/** JSON-RPC's code for a failure that is nobody's message's fault. */
const internalError = -32603;

export const bridge: Command = {
  usage: "--url URL [--token-file FILE]",
  help: `Speaks MCP on stdin and stdout and passes every message to the gateway and back.

  --url URL          an endpoint, such as http://127.0.0.1:8000/mcp
  --token-file FILE  the client's token`,
  run: async (args, { output, stop }) => {
    const { values, positionals } = parseFlags(args, {
      url: { type: "string" },
      "token-file": { type: "string" },
    });
    needPositionals(positionals, []);
    const url = values.url ?? readClientEnvironment().url;
    if (url === undefined || !URL.canParse(url)) {
      throw new UsageError("--url needs the gateway's endpoint, such as http://127.0.0.1:8000/mcp");
    }
    const token = readToken(values["token-file"] ?? readClientEnvironment().tokenFile);
    const closed = await connectBoth(toEndpoint(url), token, output);
    await Promise.race([closed.done, untilStopped(stop)]);
    await closed.end();
    return exitCodes.done;
  },
};

/** A bare origin means the merged scope. */
function toEndpoint(url: string): URL {
  const endpoint = new URL(url);
  if (endpoint.pathname === "/") endpoint.pathname = "/mcp";
  return endpoint;
}

async function connectBoth(
  endpoint: URL,
  token: string | undefined,
  output: Output,
): Promise<{ readonly done: Promise<void>; end(): Promise<void> }> {
  const headers: Record<string, string> =
    token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const gateway = new StreamableHTTPClientTransport(endpoint, { requestInit: { headers } });
  const client = new StdioServerTransport();
  const done = Promise.withResolvers<void>();
  const sending = new Set<Promise<void>>();
  let initializeId: string | number | undefined;

  client.onmessage = (message) => {
    if ("method" in message && message.method === "initialize" && "id" in message) {
      initializeId = message.id;
    }
    const sent = passOn(message).finally(() => sending.delete(sent));
    sending.add(sent);
  };
  const passOn = async (message: JSONRPCMessage) => {
    try {
      await gateway.send(message);
    } catch (error) {
      output.note(`bridge: ${messageOf(error)}`);
      const isRequest = "method" in message && "id" in message;
      if (isRequest) await client.send(renderFailure(message.id, messageOf(error)));
    }
  };
  gateway.onmessage = (message) => {
    // Later requests name the revision that was agreed on; only the handshake's answer tells it.
    if ("result" in message && message.id === initializeId) {
      const revision = message.result.protocolVersion;
      if (typeof revision === "string") gateway.setProtocolVersion(revision);
    }
    client.send(message).catch((error) => output.note(`bridge: ${messageOf(error)}`));
  };
  gateway.onerror = (error) => output.note(`bridge: ${error.message}`);
  process.stdin.once("end", () => done.resolve());
  await gateway.start();
  await client.start();
  return {
    done: done.promise,
    end: async () => {
      await Promise.allSettled(sending);
      await gateway.terminateSession().catch(() => {});
      await gateway.close();
      await client.close();
    },
  };
}

function renderFailure(id: string | number, message: string): JSONRPCMessage {
  const error = { code: internalError, message: `the gateway could not be asked: ${message}` };
  return { jsonrpc: "2.0", id, error };
}
