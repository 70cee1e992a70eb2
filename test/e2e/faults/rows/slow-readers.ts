/**
 * Groups TS and TW: agents that stop reading while a server goes on talking. The reader is cut, its call has its
 * outcome on record, what waited for it was bounded, and nobody else notices.
 */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { until } from "../../../support/deadline.ts";
import type { Row, Stage } from "../../../support/fault-suite.ts";
import { readMetric } from "../../../support/metrics.ts";
import { modernMeta } from "../../../support/modern-agent.ts";
import { allRecords } from "../../../support/operator.ts";
import { portOf } from "../../../support/raw-http.ts";
import { openRawWebSocket, type RawWebSocket } from "../../../support/raw-websocket.ts";
import type { Script } from "../../../support/scripted-server.ts";
import { callText, eraOf, requestText, type Transport } from "../../../support/wires.ts";

const mebibyte = 1024 * 1024;
/** What may be held for a stalled reader: the queue, and what the system takes for its socket. */
const heldBytesMax = 96 * mebibyte;
/** Of a mebibyte each: far more than the queue and the sockets take. */
const callsMax = 40;
const chunk = "x".repeat(64 * 1024);

/**
 * `flood` tells progress without end, as fast as it is read; `lump` tells a lot once and then falls silent; `big`
 * answers with a mebibyte.
 */
export const slowReaderScripts: Readonly<Record<string, Script>> = {
  flood: (_id, params) => {
    const token = JSON.stringify(params?._meta?.progressToken ?? "none");
    let progress = 0;
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        progress += 1;
        const said = `{"progressToken":${token},"progress":${progress},"message":"${chunk}"}`;
        controller.enqueue(
          Buffer.from(
            `data: {"jsonrpc":"2.0","method":"notifications/progress","params":${said}}\n\n`,
          ),
        );
        await Bun.sleep(1);
      },
    });
    return new Response(stream, { headers: { "Content-Type": "text/event-stream" } });
  },
  lump: (_id, params) => {
    const token = JSON.stringify(params?._meta?.progressToken ?? "none");
    const stream = new ReadableStream<Uint8Array>({
      async start(controller) {
        for (const strings of [120, 1]) {
          const bulk = JSON.stringify(Array(strings).fill(chunk));
          const said = `{"progressToken":${token},"progress":${121 - strings},"bulk":${bulk}}`;
          controller.enqueue(
            Buffer.from(
              `data: {"jsonrpc":"2.0","method":"notifications/progress","params":${said}}\n\n`,
            ),
          );
          // A reader that reads has taken the first by then.
          await Bun.sleep(500);
        }
      },
    });
    return new Response(stream, { headers: { "Content-Type": "text/event-stream" } });
  },
  big: (id) =>
    Response.json({
      jsonrpc: "2.0",
      id,
      result: { resultType: "complete", content: [{ type: "text", text: "x".repeat(mebibyte) }] },
    }),
};

/** Resident memory of the gateway's process, in bytes. */
function residentBytes({ gateway }: Stage): number {
  const status = readFileSync(`/proc/${gateway.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

/** The same once the gateway's last thread has begun, which is after its start. */
async function residentAtRest(stage: Stage): Promise<number> {
  const laps = () => readMetric(stage.gateway.ops, "mcp_gateway_audit_monitor_laps");
  await until("the monitor's first lap", async () => (await laps()) > 0);
  return residentBytes(stage);
}

async function slowConsumers({ gateway }: Stage): Promise<number> {
  const text = await (await fetch(`${gateway.ops}/metrics`)).text();
  const counts = text.matchAll(/^mcp_gateway_slow_consumers_total(?:\{[^}]*\})? (\d+)/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Waits for the cut while others are served; memory stays within bounds all along. */
async function awaitCut(stage: Stage, cutsBefore: number, residentBefore: number): Promise<void> {
  await until(
    "the slow reader's cut",
    async () => {
      await using other = await stage.open("http-modern");
      expect((await other.send(callText("modern"))).text).toContain("canary");
      expect(residentBytes(stage) - residentBefore).toBeLessThan(heldBytesMax);
      return (await slowConsumers(stage)) > cutsBefore;
    },
    20_000,
  );
}

/** A POST whose answer nobody reads. */
function postUnread(stage: Stage, tool: string, body: string): Disposable {
  const socket = connect(portOf(stage.gateway.agents), "127.0.0.1", () => {
    const lines = [
      "POST /tiny/mcp HTTP/1.1",
      `Host: ${new URL(stage.gateway.agents).host}`,
      `Authorization: Bearer ${stage.token}`,
      "Content-Type: application/json",
      "Accept: application/json, text/event-stream",
      "MCP-Protocol-Version: 2026-07-28",
      "Mcp-Method: tools/call",
      `Mcp-Name: ${tool}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
    ];
    socket.pause();
    socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
  });
  socket.on("error", () => {});
  return { [Symbol.dispose]: () => void socket.destroy() };
}

async function outcomesOf(stage: Stage, tool: string): Promise<number> {
  return (await allRecords(stage.admin, { event: "call.outcome", tool })).length;
}

function stalledStream(id: string, tool: string, title: string): Row {
  return {
    id,
    title,
    transports: ["http-modern"],
    reachesServer: true,
    async run(stage) {
      const cutsBefore = await slowConsumers(stage);
      const residentBefore = await residentAtRest(stage);
      const outcomesBefore = await outcomesOf(stage, tool);
      const params = {
        name: tool,
        arguments: {},
        _meta: { ...modernMeta, progressToken: "flood" },
      };
      using _reader = postUnread(
        stage,
        tool,
        JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
      );
      await awaitCut(stage, cutsBefore, residentBefore);
      await until("its outcome", async () => (await outcomesOf(stage, tool)) > outcomesBefore);
    },
  };
}

export const slowStreamRows: readonly Row[] = [
  stalledStream(
    "TS-01",
    "flood",
    "a reader that stops costs a bounded queue, and nobody else anything",
  ),
  stalledStream(
    "TS-02",
    "lump",
    "a reader that stays stopped is cut, and its call has its outcome",
  ),
];

async function openSocket(stage: Stage, transport: Transport): Promise<RawWebSocket> {
  const upgrade = await openRawWebSocket({
    base: stage.gateway.agents,
    path: "/tiny/ws",
    headers: { Authorization: `Bearer ${stage.token}` },
  });
  if ("refusal" in upgrade) throw new Error(`refused: ${upgrade.refusal.body}`);
  const { webSocket } = upgrade;
  if (transport === "ws-legacy") {
    const clientInfo = { name: "slow", version: "1" };
    const opening = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
    webSocket.sendText(requestText("legacy", "initialize", opening));
    await webSocket.next();
  }
  return webSocket;
}

export const slowSocketRows: readonly Row[] = [
  {
    id: "TW-04",
    title: "a socket nobody reads is closed with 1013, its calls recorded, others served",
    transports: ["ws-legacy", "ws-modern"] satisfies readonly Transport[],
    reachesServer: true,
    async run(stage, transport) {
      using webSocket = await openSocket(stage, transport);
      const cutsBefore = await slowConsumers(stage);
      const residentBefore = await residentAtRest(stage);
      const outcomesBefore = await outcomesOf(stage, "big");
      webSocket.socket.pause();
      const seenBefore = stage.upstream.seen.length;
      const isCut = async () => (await slowConsumers(stage)) > cutsBefore;
      const outcomes = async () => (await outcomesOf(stage, "big")) - outcomesBefore;
      // One after the other: what counts is what waits for the reader, not what is being worked on.
      for (let calls = 1; calls <= callsMax && !(await isCut()); calls += 1) {
        webSocket.sendText(callText(eraOf(transport), { name: "big", id: calls }));
        await until(
          "an outcome, or the cut",
          async () => (await isCut()) || (await outcomes()) === calls,
        );
      }
      await awaitCut(stage, cutsBefore, residentBefore);
      const called = stage.upstream.seen.slice(seenBefore).filter(({ name }) => name === "big");
      await until("their outcomes", async () => (await outcomes()) === called.length);
      webSocket.socket.resume();
      expect([1013, 1006]).toContain(await webSocket.closed);
    },
  },
  {
    id: "TW-04",
    title: "answers that come together to a socket nobody reads are one slow reader",
    transports: ["ws-legacy", "ws-modern"] satisfies readonly Transport[],
    reachesServer: true,
    async run(stage, transport) {
      const cutsBefore = await slowConsumers(stage);
      const sockets = await Promise.all(
        Array.from({ length: 4 }, () => openSocket(stage, transport)),
      );
      for (const { socket } of sockets) socket.pause();
      for (let id = 1; id <= callsMax; id += 1) {
        for (const one of sockets) one.sendText(callText(eraOf(transport), { name: "big", id }));
      }
      await until(
        "the cuts",
        async () => (await slowConsumers(stage)) >= cutsBefore + sockets.length,
      );
      await until("an outcome of each call that began", async () => {
        const intents = await allRecords(stage.admin, { event: "call.intent", tool: "big" });
        return intents.length === (await outcomesOf(stage, "big"));
      });
      expect(await slowConsumers(stage)).toBe(cutsBefore + sockets.length);
      for (const { socket } of sockets) socket.destroy();
    },
  },
];
