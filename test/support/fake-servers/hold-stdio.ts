/**
 * A stand-in for a gateway that will be killed: starts the fake stdio server given as its argument through our own
 * client, and prints the process id of it.
 */
import { systemClock } from "../../../src/lib/clock.ts";
import { createServers } from "../../../src/servers/pool.ts";
import { silentLog } from "../../../src/telemetry/log.ts";
import { createMetrics } from "../../../src/telemetry/metrics.ts";

const command = process.execPath;
const args = [process.argv[2] ?? "", "v1"];
const servers = createServers({
  inheritedEnvironment: { PATH: "/usr/bin:/bin" },
  gatewayVersion: "0.0.0",
  clock: systemClock,
  log: silentLog,
  metrics: createMetrics(),
});
const spec = {
  name: "held",
  description: "",
  transport: { kind: "stdio", command, args, environment: {}, workingDirectory: undefined },
  era: "auto",
  enabled: true,
  connectTimeoutMs: 10_000,
  callTimeoutMs: 10_000,
  responseBytesMax: 1_000_000,
  maxInFlight: 8,
  listTtlMs: 0,
  listsPublic: false,
  toolSettings: [],
  allowPrivateNetwork: true,
  dataClass: "INTERNAL",
} as const;
servers.apply(new Map([["held", spec]]));
await servers.get("held")?.facts(new AbortController().signal);
const listing = Bun.spawn(["pgrep", "-P", String(process.pid), "-f", "stdio-main"]);
process.stdout.write(await new Response(listing.stdout).text());
setInterval(() => {}, 1_000);
