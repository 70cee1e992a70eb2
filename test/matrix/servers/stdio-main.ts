/** The fixture as a process: `stdio-main.ts v1|v2`. */
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { createWorld } from "./script.ts";
import { createV1Fixture } from "./v1-server.ts";
import { createV2Fixture } from "./v2-server.ts";

const world = createWorld();
if (process.argv[2] === "v2") {
  serveStdio(() => createV2Fixture(world, "modern"), { legacy: "reject" });
} else await createV1Fixture(world).connect(new StdioServerTransport());
