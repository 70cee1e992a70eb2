/**
 * A gateway reduced to what a crash can break: callers who make an intent durable, act, make the outcome durable and
 * are answered, over the real log and its real files, on a spool thread that kills the process at a numbered crash
 * point. Arguments: the data folder, the server's log, a name for this life. Writes each answered call to stdout.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { openAuditLog } from "../../src/audit/log.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createMemoryAuditStore } from "./memory-audit-store.ts";
import { openMemoryVault } from "./sealing.ts";

const [dataDir = "", serverLog = "", life = ""] = process.argv.slice(2);
const callsMax = 400;
const callers = 3;

const log = await openAuditLog({
  dataDir,
  store: { audit: createMemoryAuditStore() },
  keys: await openMemoryVault(),
  clock: systemClock,
  log: silentLog,
  metrics: createMetrics(),
  options: { segmentBytesMax: 6 * 1024, deadlineMs: 20_000 },
  startThread: (events) => {
    const worker = new Worker(new URL("./crashing-spool-worker.ts", import.meta.url).href);
    worker.onmessage = ({ data: message }) => events.received(message);
    worker.onerror = (event) => events.died(event.message);
    return {
      post: (message) => worker.postMessage(message),
      terminate: () => worker.terminate(),
    };
  },
});
const server = openSync(serverLog, "a");

async function callAll(caller: number): Promise<void> {
  for (let number = 0; number < callsMax; number += 1) {
    const call = `${life}-${caller}-${number}`;
    const own = { class: "A", timeMs: systemClock.nowMs(), details: {} } as const;
    const facts = { tool: call };
    const intent = await log.append({ ...own, event: "call.intent", facts }, "synced");
    writeSync(server, `${call}\n`);
    const closing = { ...facts, intent: intent.seq, status: "success" };
    await log.append({ ...own, event: "call.outcome", facts: closing }, "synced");
    process.stdout.write(`${call}\n`);
  }
}

await Promise.all(Array.from({ length: callers }, (_, caller) => callAll(caller)));
closeSync(server);
await log.close();
