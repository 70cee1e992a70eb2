/**
 * `bridge`: stdio MCP on this side, a WebSocket to the gateway on the other, for desktop clients that only start
 * processes. Both channels have the same rules in every revision, so a line is a frame and no message is changed.
 */
import { readClientEnvironment } from "../config/load.ts";
import { readToken } from "./agent-client.ts";
import { createBridgePipe } from "./bridge-pipe.ts";
import { type Command, exitCodes, UsageError, untilStopped } from "./command.ts";
import { needPositionals, parseFlags } from "./flags.ts";

export const bridge: Command = {
  usage: "--url URL [--token-file FILE]",
  help: `Speaks MCP on stdin and stdout and passes every message to the gateway and back, unchanged, over a WebSocket.
A lost connection is opened again, and the session with it.

  --url URL          an endpoint, such as http://127.0.0.1:8000/mcp
  --token-file FILE  the client's token`,
  run: async (args, { output, stop }) => {
    const { values, positionals } = parseFlags(args, {
      url: { type: "string" },
      "token-file": { type: "string" },
    });
    needPositionals(positionals, []);
    const endpoint = toSocketUrl(values.url ?? readClientEnvironment().url ?? "");
    if (endpoint === undefined) {
      throw new UsageError("--url needs the gateway's endpoint, such as http://127.0.0.1:8000/mcp");
    }
    const token = readToken(values["token-file"] ?? readClientEnvironment().tokenFile);
    const pipe = await createBridgePipe({
      endpoint,
      headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
      write: output.line,
      note: (text) => output.note(`bridge: ${text}`),
    });
    const ended = Promise.race([readLines(process.stdin, pipe.take), untilStopped(stop)]);
    await Promise.race([ended.then(pipe.finish), pipe.failed]);
    pipe.close();
    return exitCodes.done;
  },
};

/** The WebSocket beside an endpoint of any transport; a bare origin means the merged scope. */
export function toSocketUrl(text: string): URL | undefined {
  const url = URL.parse(text);
  if (url === null || !/^(?:http|ws)s?:$/.test(url.protocol)) return undefined;
  url.protocol = url.protocol.replace("http", "ws");
  if (url.pathname === "/") url.pathname = "/ws";
  url.pathname = url.pathname.replace(/\/(?:mcp|sse)$/, "/ws");
  return url;
}

/** Calls back with each line; resolves at the end of the input. A line ends at a line feed and nowhere else. */
async function readLines(
  input: AsyncIterable<Uint8Array>,
  take: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of input) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") take(line);
  }
}
