/**
 * All kinds of sinks at once on the sinks' thread, over a real spool, with real receivers: each gets every record in
 * order, and one that is away is no other's concern (D04).
 */
import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SinkSpec } from "../../src/compose/sink-messages.ts";
import { startSinkThread } from "../../src/compose/sink-thread.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createAuthority } from "../support/certificates.ts";
import { until } from "../support/deadline.ts";
import { freePort } from "../support/free-port.ts";
import { startOtlpCollector } from "../support/otlp-collector.ts";
import { openSpooledLog, type SpooledLog } from "../support/spooled-log.ts";
import { bodyOf, startStreamSyslog, startUdpSyslog } from "../support/syslog-receiver.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function using<T extends AsyncDisposable>(resource: T): T {
  cleanups.push(() => resource[Symbol.asyncDispose]());
  return resource;
}

function start(log: SpooledLog, sinks: readonly SinkSpec[]) {
  const lines: string[] = [];
  const metrics = createMetrics();
  const thread = startSinkThread({
    spec: { dataDir: log.dataDir, logId: log.logId, sinks },
    syncedSeq: log.syncedSeq,
    log: createLog("info", systemClock, (line) => lines.push(line)),
    metrics,
  });
  cleanups.push(() => thread.close());
  return { thread, metrics, said: (event: string) => lines.filter((line) => line.includes(event)) };
}

function syslog(name: string, address: string, more: Partial<SinkSpec> = {}): SinkSpec {
  const [host = "", port = ""] = address.split(":");
  return {
    ...{ name, kind: "syslog", transport: "tcp", host, port: Number(port), facility: 13 },
    ...{ ca: undefined, ...more },
  } as SinkSpec;
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const many = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ note: `n${index}` }));

test("file, syslog over UDP, TCP and TLS, and OTLP all get every record, in order", async () => {
  const log = using(await openSpooledLog());
  const udp = using(await startUdpSyslog());
  const tcp = using(await startStreamSyslog());
  const authority = await createAuthority(log.dataDir);
  const tls = using(await startStreamSyslog(await authority.issue("receiver")));
  const collector = using(startOtlpCollector());
  const path = join(log.dataDir, "out", "audit.json");
  const { thread } = start(log, [
    {
      ...{ name: "file", kind: "file", path, rotateBytes: 1e6, rotateDaily: true, keepFiles: 2 },
      sync: true,
    },
    syslog("udp", udp.address, { transport: "udp" }),
    syslog("tcp", tcp.address),
    syslog("tls", tls.address, { transport: "tls", ca: readFileSync(authority.caFile, "utf8") }),
    {
      name: "otlp",
      kind: "otlp",
      url: collector.url,
      resource: { "deployment.name": "test" },
      headers: {},
    },
  ]);
  await log.append(...many(40));
  for (const receiver of [udp, tcp, tls]) {
    await until("all messages", () => receiver.messages.length >= 40);
    expect(receiver.messages.map((message) => bodyOf(message).seq)).toEqual(upTo(40));
    expect(receiver.messages[0]).toMatch(/^<110>1 \d{4}-\d\d-\d\dT[\d:.]+Z \S+ mcp-gateway \d+ /);
  }
  await until("all log records", () => collector.bodies().length >= 40);
  expect(collector.bodies().map((body) => body.seq)).toEqual(upTo(40));
  const [request] = collector.requests;
  expect(request?.contentType).toBe("application/json");
  expect(request?.resource).toContainEqual({
    key: "service.instance.id",
    value: { stringValue: log.logId },
  });
  expect(request?.resource).toContainEqual({
    key: "deployment.name",
    value: { stringValue: "test" },
  });
  expect(request?.records[0]).toMatchObject({
    severityText: "INFO",
    attributes: [{ key: "event.name", value: { stringValue: "mcp_gateway.mcp_request" } }],
  });
  await log.append(...many(1));
  await thread.close();
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).seq)).toEqual(upTo(41));
  expect(lines.join()).not.toContain("alice");
});

test("a receiver that is away holds up no other, is said once, and gets its backlog later", async () => {
  const log = using(await openSpooledLog());
  const port = freePort();
  const collector = using(startOtlpCollector());
  const { metrics, said } = start(log, [
    syslog("away", `127.0.0.1:${port}`),
    { name: "otlp", kind: "otlp", url: collector.url, resource: {}, headers: {} },
  ]);
  await log.append(...many(20));
  await until("the other has all", () => collector.bodies().length === 20);
  await until("it says that it is down", () => said("audit.sink_down").length > 0);
  await until("lag and failures are counted", async () => {
    const text = await metrics.render();
    return (
      text.includes('mcp_gateway_audit_sink_lag_records{sink="away"} 20\n') &&
      text.includes('mcp_gateway_audit_sink_up{sink="away"} 0\n') &&
      text.includes('mcp_gateway_audit_sink_lag_records{sink="otlp"} 0\n') &&
      (await metrics.total("mcp_gateway_audit_sink_failures_total")) > 0
    );
  });
  const back = using(await startStreamSyslog(undefined, port));
  await until("its backlog", () => back.messages.length >= 20);
  expect(back.messages.map((message) => bodyOf(message).seq)).toEqual(upTo(20));
  await until("it says that it is back", () => said("audit.sink_up").length > 0);
  expect(said("audit.sink_down")).toHaveLength(1);
});

test("a stream that breaks is made anew, and nothing is missing", async () => {
  const log = using(await openSpooledLog());
  const first = using(await startStreamSyslog());
  start(log, [syslog("tcp", first.address)]);
  await log.append(...many(10));
  await until("the first ones", () => first.messages.length >= 10);
  await first.stop();
  await log.append(...many(10));
  const second = using(await startStreamSyslog(undefined, Number(first.address.split(":")[1])));
  await log.append(...many(5));
  await until("the last one", () => second.messages.some((one) => bodyOf(one).seq === 25));
  const seqs = [...first.messages, ...second.messages].map((message) => bodyOf(message).seq);
  expect(new Set(seqs)).toEqual(new Set(upTo(25)));
});

test("a receiver whose certificate another authority signed gets nothing", async () => {
  const log = using(await openSpooledLog());
  const [ours, theirs] = [
    await createAuthority(log.dataDir, "ours"),
    await createAuthority(log.dataDir, "theirs"),
  ];
  const tls = using(await startStreamSyslog(await theirs.issue("receiver")));
  const ca = readFileSync(ours.caFile, "utf8");
  const { said } = start(log, [syslog("tls", tls.address, { transport: "tls", ca })]);
  await log.append(...many(1));
  await until("it is refused", () => said("audit.sink_down").length > 0);
  expect(tls.messages).toEqual([]);
});

test("a collector that is busy is asked again; one that refuses a record gets the others", async () => {
  const log = using(await openSpooledLog());
  const collector = using(startOtlpCollector());
  let busy = 2;
  collector.answer = ({ records }) => {
    if (busy > 0) {
      busy -= 1;
      return new Response("later", {
        status: busy === 1 ? 429 : 503,
        headers: { "retry-after": "0" },
      });
    }
    if (records.some(({ body }) => body.stringValue.includes('"n1"'))) {
      return Response.json({ partialSuccess: { rejectedLogRecords: "1" } }, { status: 400 });
    }
    return Response.json({ partialSuccess: {} });
  };
  const { metrics, said } = start(log, [
    { name: "otlp", kind: "otlp", url: collector.url, resource: {}, headers: {} },
  ]);
  await log.append(...many(3));
  await until("the others", () => collector.bodies().some((body) => body.seq === 3));
  expect(collector.bodies().map((body) => `${body.event_type} ${body.seq ?? body.from}`)).toEqual([
    "mcp_request 1",
    "audit_gap 2",
    "mcp_request 3",
  ]);
  await until("it is counted", async () => {
    return (await metrics.total("mcp_gateway_audit_sink_skipped_total")) === 1;
  });
  expect(said("audit.sink_gap")).toHaveLength(1);
});
