/** Groups TS and TW: agents that leave, come back, and a gateway that ends, each at a bad moment. */
import { expect } from "bun:test";
import { createAdminClient } from "../../../support/admin-client.ts";
import { until } from "../../../support/deadline.ts";
import type { Row, Stage } from "../../../support/fault-suite.ts";
import { startGateway } from "../../../support/gateway-process.ts";
import { modernPost } from "../../../support/modern-agent.ts";
import { allRecords, registerClient, registerHttpServer } from "../../../support/operator.ts";
import { openRawWebSocket, type RawWebSocket } from "../../../support/raw-websocket.ts";
import { callText, eraOf, requestText, type Transport } from "../../../support/wires.ts";

const sockets = ["ws-legacy", "ws-modern"] as const satisfies readonly Transport[];

async function openSocket(
  base: string,
  token: string,
  transport: Transport,
): Promise<RawWebSocket> {
  const upgrade = await openRawWebSocket({
    base,
    path: "/tiny/ws",
    headers: { Authorization: `Bearer ${token}` },
  });
  if ("refusal" in upgrade) throw new Error(`refused: ${upgrade.refusal.body}`);
  const { webSocket } = upgrade;
  if (transport === "ws-modern") return webSocket;
  const clientInfo = { name: "ending", version: "1" };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
  webSocket.sendText(requestText("legacy", "initialize", params));
  await webSocket.next();
  return webSocket;
}

/** Starts a call and returns how to be gone. */
async function callAndLeave(stage: Stage, transport: Transport, id: number): Promise<() => void> {
  if (transport === "http-modern") {
    const leaving = new AbortController();
    const { agents: base } = stage.gateway;
    const params = { name: "echo", arguments: { text: "leaving" } };
    modernPost({
      base,
      scope: "tiny",
      token: stage.token,
      method: "tools/call",
      params,
      id,
      signal: leaving.signal,
    }).catch(() => {});
    return () => leaving.abort();
  }
  const webSocket = await openSocket(stage.gateway.agents, stage.token, transport);
  webSocket.sendText(callText(eraOf(transport), { text: "leaving", id }));
  return () => void webSocket.socket.resetAndDestroy();
}

async function recordsOf(stage: Stage, event: string): Promise<readonly string[]> {
  const records = await allRecords(stage.admin, { event, tool: "echo" });
  return records.map((record) => record.correlation_id);
}

export const endingStreamRows: readonly Row[] = [
  {
    id: "TS-06",
    title: "an agent that leaves while its answer is recorded leaves one outcome behind",
    transports: ["http-modern", ...sockets],
    reachesServer: true,
    async run(stage, transport) {
      for (let round = 0; round < 20; round += 1) {
        const seenBefore = stage.upstream.seen.length;
        const leave = await callAndLeave(stage, transport, round);
        await until("the call at the server", () => stage.upstream.seen.length > seenBefore);
        // The answer is on its way back now: the record is written in the next few milliseconds.
        await Bun.sleep(round % 5);
        leave();
      }
      await until("as many outcomes as intents", async () => {
        const intents = await recordsOf(stage, "call.intent");
        const outcomes = await recordsOf(stage, "call.outcome");
        expect(new Set(outcomes).size).toBe(outcomes.length);
        return intents.length > 0 && intents.length === outcomes.length;
      });
    },
  },
];

export const endingSocketRows: readonly Row[] = [
  {
    id: "TW-07",
    title: "the same id after a lost socket is a call of its own, and the lost answer nobody's",
    transports: sockets,
    reachesServer: true,
    async run(stage, transport) {
      const params = { name: "slow", arguments: { text: "lost", delay_ms: 300 } };
      const seenBefore = stage.upstream.seen.length;
      const lost = await openSocket(stage.gateway.agents, stage.token, transport);
      lost.sendText(requestText(eraOf(transport), "tools/call", params, "again"));
      await until("the call at the server", () => stage.upstream.seen.length > seenBefore);
      lost.socket.resetAndDestroy();
      using back = await openSocket(stage.gateway.agents, stage.token, transport);
      back.sendText(callText(eraOf(transport), { text: "mine", id: "again" }));
      expect(await back.next()).toContain("mine");
      expect(stage.upstream.seen.length).toBe(seenBefore + 2);
      back.sendText(callText(eraOf(transport), { text: "the next", id: "next" }));
      expect(await back.next()).toContain("the next");
    },
  },
  {
    id: "TW-10",
    title: "a gateway that ends closes its sockets with 1001, and the next one serves them",
    transports: sockets,
    reachesServer: true,
    async run(stage, transport) {
      await using ending = await startGateway();
      await using admin = createAdminClient(ending);
      await registerHttpServer(admin, "tiny", stage.upstream.url);
      const token = await registerClient(admin, "mover", { allowed_tools: ["*"] });
      using first = await openSocket(ending.agents, token, transport);
      using second = await openSocket(ending.agents, token, transport);
      const slow = { name: "slow", arguments: { text: "in flight", delay_ms: 300 } };
      const seenBefore = stage.upstream.seen.length;
      first.sendText(requestText(eraOf(transport), "tools/call", slow));
      await until("the call at the server", () => stage.upstream.seen.length > seenBefore);
      ending.kill("SIGTERM");
      expect(await first.next()).toContain("in flight");
      expect([await first.closed, await second.closed]).toEqual([1001, 1001]);
      await ending.exited;
      await using next = await startGateway({ dataDir: ending.dataDir });
      using back = await openSocket(next.agents, token, transport);
      back.sendText(callText(eraOf(transport), { text: "back" }));
      expect(await back.next()).toContain("back");
    },
  },
];
