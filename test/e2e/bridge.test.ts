/**
 * `bridge`, the way in for desktop clients that only start processes: both eras, every byte, and a gateway that goes
 * away and comes back.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { Client as ModernClient } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { createAdminClient } from "../support/admin-client.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { freePort } from "../support/free-port.ts";
import { executable, startGateway } from "../support/gateway-process.ts";
import { modernMeta } from "../support/modern-agent.ts";
import { registerStdioServer } from "../support/sample-gateway.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const stack = new AsyncDisposableStack();
let port = 0;
let dataDir = "";
let tokenFile = "";

const start = () => startGateway({ dataDir, args: ["--port", String(port)] });

beforeAll(async () => {
  port = freePort();
  const folder = stack.use(temporaryFolder("bridge"));
  dataDir = join(folder.path, "data");
  tokenFile = join(folder.path, "token");
  await using gateway = await start();
  await using admin = createAdminClient(gateway);
  await registerStdioServer(admin, "notes", executable, ["sample", "notes"]);
  const made = await runGateway(
    ["client", "register", "desktop", "--allowed-tools", "notes__*", "--json"],
    { env: { MCP_GATEWAY_ADMIN: gateway.admin, MCP_GATEWAY_DATA_DIR: dataDir } },
  );
  await Bun.write(tokenFile, JSON.parse(made.stdout).token);
});
afterAll(() => stack.disposeAsync());

const bridgeArgs = (file = tokenFile) => [
  "bridge",
  "--url",
  `http://127.0.0.1:${port}/notes/mcp`,
  "--token-file",
  file,
];

/** The bridge as a bare process: lines in, lines out. */
function openBridge() {
  const child = Bun.spawn([executable, ...bridgeArgs()], { stdio: ["pipe", "pipe", "pipe"] });
  let received = "";
  const reading = (async () => {
    for await (const chunk of child.stdout) received += new TextDecoder().decode(chunk);
  })();
  return {
    send: (line: string) => {
      child.stdin.write(`${line}\n`);
      child.stdin.flush();
    },
    said: (word: string) => until(word, () => received.includes(word)),
    answer: (id: string) =>
      until(`the answer to ${id}`, () =>
        received.split("\n").find((line) => line.includes(`"id":${id}`)),
      ),
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await child.exited;
      await reading;
    },
  };
}

const initialize =
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"d","version":"1"}}}';
const call = (id: string) =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"search_notes","arguments":{"text":"apples"}}}`;
const listen = (id: string) =>
  `{"jsonrpc":"2.0","id":${id},"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":${JSON.stringify(modernMeta)}}}`;

test("E06: a client of revision 2026-07-28 over stdio reaches a server through the bridge", async () => {
  await using _gateway = await start();
  const client = new ModernClient(
    { name: "desktop", version: "1" },
    { versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  await client.connect(new StdioClientTransport({ command: executable, args: bridgeArgs() }));
  const result = await client.callTool({ name: "search_notes", arguments: { text: "apples" } });
  expect(result.structuredContent).toEqual({ found: ["groceries"] });
  await client.close();
});

test("PR-04: ids and line separators inside a message pass unchanged", async () => {
  await using _gateway = await start();
  await using bridge = openBridge();
  bridge.send(initialize);
  await bridge.answer("1");
  // A line separator is white space to some line readers, and an ordinary character to JSON.
  bridge.send(call('"\u2028 9007199254740993"'));
  expect(await bridge.answer('"\u2028 9007199254740993"')).toContain('"found":["groceries"]');
});

test("a gateway that comes back is used again, without a new handshake of the client's", async () => {
  await using bridge = await (async () => {
    await using _gateway = await start();
    const opened = openBridge();
    opened.send(initialize);
    await opened.answer("1");
    opened.send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
    opened.send(call("2"));
    expect(await opened.answer("2")).toContain('"found":["groceries"]');
    return opened;
  })();
  bridge.send(call("3"));
  await using _again = await start();
  expect(await bridge.answer("3")).toContain('"found":["groceries"]');
});

test("it ends with its client, though a call was withdrawn and a listen is open", async () => {
  await using _gateway = await start();
  const bridge = openBridge();
  bridge.send(initialize);
  await bridge.answer("1");
  bridge.send(listen("2"));
  await bridge.said("acknowledged");
  bridge.send(call("3"));
  bridge.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}');
  const startedMs = performance.now();
  await bridge[Symbol.asyncDispose]();
  // What it gives calls that are still to be answered.
  expect(performance.now() - startedMs).toBeLessThan(5_000);
});

test("E06: what cannot be connected says why: no gateway, a token that is not good", async () => {
  const nobody = await runGateway(bridgeArgs());
  expect([nobody.exitCode, nobody.stderr]).toEqual([3, expect.stringContaining("nobody answers")]);
  await using _gateway = await start();
  const bad = `${tokenFile}.bad`;
  await Bun.write(bad, "mcpgw_nonsense");
  const refused = await runGateway(bridgeArgs(bad));
  expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining("refused:")]);
});
