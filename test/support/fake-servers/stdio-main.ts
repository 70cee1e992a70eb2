/**
 * A fake stdio server as a process: `stdio-main.ts v1|v2|asks|tasks|exits|junk|stubborn`. `asks` puts questions,
 * `tasks` runs a tool as a task, `exits` ends on any request before `initialize`, as some servers do; `junk` answers every call with text that is no message; `stubborn` ignores the
 * end of its input and SIGTERM.
 */
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { createAskingServer } from "./asking.ts";
import { createBehaviour } from "./behaviour.ts";
import { createV1Server, createV2Server } from "./sdk-servers.ts";
import { createTaskingServer } from "./tasking.ts";

const kind = process.argv[2];
const behaviour = createBehaviour(() => process.exit(3));

if (kind === "v2") serveStdio(() => createV2Server(behaviour), { legacy: "reject" });
else {
  if (kind === "stubborn") {
    process.on("SIGTERM", () => {});
    setInterval(() => {}, 1_000);
  }
  const transport = new StdioServerTransport();
  const kinds = new Map([
    ["asks", createAskingServer],
    ["tasks", createTaskingServer],
  ]);
  const create = kinds.get(kind ?? "") ?? createV1Server;
  await create(behaviour).connect(transport);
  const forward = transport.onmessage;
  let isInitialized = false;
  transport.onmessage = (message) => {
    const method = "method" in message ? message.method : "";
    if (kind === "exits" && !isInitialized && method !== "initialize") process.exit(1);
    isInitialized = true;
    if (kind === "junk" && method === "tools/call")
      process.stdout.write('{"jsonrpc": "2.0", NaN}\n');
    else forward?.(message);
  };
}
