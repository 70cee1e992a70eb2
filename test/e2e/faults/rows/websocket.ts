/** Group TW of the catalogue: upgrades and frames that must be refused, and sockets that end at a bad moment. */
import { expect } from "bun:test";
import { until } from "../../../support/deadline.ts";
import { everywhere, type Row, type Stage, secretText } from "../../../support/fault-suite.ts";
import { allRecords, registerClient } from "../../../support/operator.ts";
import {
  encodeFrame,
  type Frame,
  opcodes,
  openRawWebSocket,
  type RawWebSocket,
} from "../../../support/raw-websocket.ts";
import { callText, eraOf, requestText, type Transport } from "../../../support/wires.ts";

const sockets = ["ws-legacy", "ws-modern"] as const satisfies readonly Transport[];
const limitBytes = 4 * 1024 * 1024;

/** A socket that may say anything; legacy ones have their session. */
async function open(
  stage: Stage,
  transport: Transport,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawWebSocket> {
  const upgrade = await openRawWebSocket({
    base: stage.gateway.agents,
    path: "/tiny/ws",
    headers: { Authorization: `Bearer ${stage.token}`, ...headers },
  });
  if ("refusal" in upgrade) throw new Error(`refused: ${upgrade.refusal.body}`);
  const { webSocket } = upgrade;
  if (transport === "ws-modern") return webSocket;
  const clientInfo = { name: "raw", version: "1" };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
  webSocket.sendText(requestText("legacy", "initialize", params));
  await webSocket.next();
  return webSocket;
}

/** Each list of frames must close its own socket with one of the codes, and no other's. */
function frameRow(
  id: string,
  title: string,
  codes: readonly number[],
  reason: string,
  cases: Readonly<Record<string, readonly Frame[]>>,
): Row {
  return {
    id,
    title,
    transports: sockets,
    reachesServer: true,
    audit: { event: "traffic.rejected", reason },
    async run(stage, transport) {
      using bystander = await open(stage, transport);
      const params = { name: "slow", arguments: { text: "bystander", delay_ms: 100 } };
      bystander.sendText(requestText(eraOf(transport), "tools/call", params, "slow"));
      for (const [what, frames] of Object.entries(cases)) {
        using webSocket = await open(stage, transport);
        for (const frame of frames) webSocket.send(frame);
        expect(codes, what).toContain(await webSocket.closed);
      }
      expect(await bystander.next()).toContain("bystander");
    },
  };
}

const call = callText("modern", { text: secretText });
const { text, binary, continuation, ping, close } = opcodes;
/** Bun ends the connection without a close frame for some. */
const protocolError = [1002, 1006];
const broken = "invalid-request:broken-frame";

export const websocketRows: readonly Row[] = [
  {
    id: "TW-01",
    title: "upgrades from elsewhere, without credential or with one in the URL",
    transports: sockets,
    async run(stage) {
      const bearer = { Authorization: `Bearer ${stage.token}` };
      const cases: readonly (readonly [
        string,
        number,
        Readonly<Record<string, string>>,
        string?,
      ])[] = [
        ["foreign origin", 403, { ...bearer, Origin: "https://evil.example" }],
        ["null origin", 403, { ...bearer, Origin: "null" }],
        ["cookie only", 401, { Cookie: `token=${stage.token}` }],
        ["nothing", 401, {}],
        ["foreign host", 403, { ...bearer, Host: "evil.example" }],
        ["token in the query", 401, {}, `?token=${stage.token}`],
        ["access_token in the query", 401, {}, `?access_token=${stage.token}`],
        ["both", 401, bearer, `?access_token=${stage.token}`],
        ["unknown subprotocol", 400, { ...bearer, "Sec-WebSocket-Protocol": "graphql" }],
        ["twin of the subprotocol", 400, { ...bearer, "Sec-WebSocket-Protocol": "MCP, mcp2" }],
      ];
      for (const [what, status, headers, query = ""] of cases) {
        const path = `/tiny/ws${query}`;
        const upgrade = await openRawWebSocket({ base: stage.gateway.agents, path, headers });
        expect("refusal" in upgrade ? upgrade.refusal.status : 101, what).toBe(status);
      }
    },
    audit: { event: "authn.failed", reason: "unauthenticated" },
  },
  frameRow("TW-02", "frames against the protocol", protocolError, broken, {
    unmasked: [{ opcode: text, payload: call, isMasked: false }],
    "reserved bit": [{ opcode: text, payload: call, hasRsv1: true }],
    "control frame of 126 bytes": [{ opcode: ping, payload: "p".repeat(126) }],
    "control frame in pieces": [{ opcode: ping, payload: "p", isFinal: false }],
    "reserved opcode": [{ opcode: 3, payload: call }],
    "continuation of nothing": [{ opcode: continuation, payload: call }],
    "a new message within another": [
      { opcode: text, payload: "{", isFinal: false },
      { opcode: text, payload: "}" },
    ],
  }),
  frameRow("TW-02", "text that is no UTF-8", [1007, 1006], broken, {
    whole: [{ opcode: text, payload: Uint8Array.of(0x22, 0xff, 0x22) }],
    "in pieces": [
      { opcode: text, payload: Uint8Array.of(0x22, 0xe2), isFinal: false },
      { opcode: continuation, payload: Uint8Array.of(0x22, 0x22) },
    ],
  }),
  frameRow(
    "TW-02",
    "one byte over the limit, whole or in pieces",
    [1009, 1006],
    "payload-too-large",
    {
      whole: [{ opcode: text, payload: "x".repeat(limitBytes + 1) }],
      "in pieces": [
        { opcode: text, payload: "x".repeat(limitBytes - 1), isFinal: false },
        { opcode: continuation, payload: "xx" },
      ],
    },
  ),
  {
    id: "TW-02",
    title: "a message in pieces is one message",
    transports: sockets,
    reachesServer: true,
    async run(stage, transport) {
      using webSocket = await open(stage, transport);
      const whole = callText(eraOf(transport), { text: "in pieces" });
      webSocket.send({ opcode: text, payload: whole.slice(0, 20), isFinal: false });
      webSocket.send({ opcode: ping, payload: "between" });
      webSocket.send({ opcode: continuation, payload: whole.slice(20) });
      expect(await webSocket.next()).toContain("in pieces");
    },
  },
  {
    id: "TW-03",
    title: "compression is not negotiated, and a compressed bomb closes its socket",
    transports: sockets,
    async run(stage, transport) {
      const offer = { "Sec-WebSocket-Extensions": "permessage-deflate" };
      using webSocket = await open(stage, transport, offer);
      const bomb = Bun.deflateSync(Buffer.alloc(32 * 1024 * 1024));
      webSocket.send({ opcode: text, payload: bomb, hasRsv1: true });
      expect(protocolError).toContain(await webSocket.closed);
    },
    audit: { event: "traffic.rejected", reason: broken },
  },
  {
    id: "TW-05",
    title: "a flood of pings is cut off",
    transports: sockets,
    async run(stage, transport) {
      using webSocket = await open(stage, transport);
      const frame = encodeFrame({ opcode: ping, payload: "p" });
      webSocket.socket.write(Buffer.concat(Array(500).fill(frame)));
      expect([1008, 1006]).toContain(await webSocket.closed);
    },
    audit: { event: "traffic.rejected", reason: "rate-limited:pings" },
  },
  {
    id: "TW-06",
    title: "a lost socket cancels its calls, and each has its outcome on record",
    transports: sockets,
    reachesServer: true,
    async run(stage, transport) {
      const calls = 20;
      const webSocket = await open(stage, transport);
      const seenBefore = stage.upstream.seen.length;
      const outcomes = async () => {
        const ofSlow = await allRecords(stage.admin, { event: "call.outcome", tool: "slow" });
        return ofSlow.filter((one) => one.status === "cancelled").length;
      };
      const outcomesBefore = await outcomes();
      const params = { name: "slow", arguments: { text: "lost", delay_ms: 5_000 } };
      for (let id = 0; id < calls; id += 1) {
        webSocket.sendText(requestText(eraOf(transport), "tools/call", params, `lost-${id}`));
      }
      const cancelledBefore = stage.upstream.cancelled.length;
      await until(
        "the calls at the server",
        () => stage.upstream.seen.length === seenBefore + calls,
      );
      webSocket.socket.resetAndDestroy();
      await until(
        "their cancellation",
        () => stage.upstream.cancelled.length === cancelledBefore + calls,
      );
      await until(
        "their outcomes",
        async () => (await outcomes()) === outcomesBefore + calls || undefined,
      );
      expect(stage.upstream.seen.length).toBe(seenBefore + calls);
    },
  },
  {
    id: "TW-08",
    title: "the socket of a token that was rotated away is closed with 4401",
    transports: sockets,
    async run(stage, transport) {
      const id = `leaver-${transport}`;
      const token = await registerClient(stage.admin, id, { allowed_tools: ["tiny__echo"] });
      using webSocket = await open(stage, transport, { Authorization: `Bearer ${token}` });
      await stage.admin.call("ClientService", "RotateToken", { client_id: id });
      expect(await webSocket.closed).toBe(4401);
    },
  },
  frameRow("TW-09", "a binary frame", [1003], "invalid-request:binary-frame", {
    whole: [{ opcode: binary, payload: call }],
  }),
  {
    id: "TW-09",
    title: "a JSON array is no message",
    transports: sockets,
    refused: { batch: (good) => `[${good},${good}]`, empty: () => "[]" },
    refusal: everywhere(-32600, 400),
  },
  {
    id: "TW-09",
    title: "a thousand messages in one segment are all answered, while others are served",
    transports: sockets,
    reachesServer: true,
    async run(stage, transport) {
      using webSocket = await open(stage, transport);
      const count = 1_000;
      const frames = Array.from({ length: count }, (_, id) =>
        encodeFrame({ opcode: text, payload: requestText(eraOf(transport), "tools/nope", {}, id) }),
      );
      webSocket.socket.write(Buffer.concat(frames));
      await using other = await stage.open("http-modern");
      expect((await other.send(callText("modern"))).text).toContain("canary");
      const ids = new Set<number>();
      while (ids.size < count) ids.add(JSON.parse(String(await webSocket.next())).id);
      expect(ids.size).toBe(count);
    },
  },
  {
    id: "TW-05",
    title: "a client that closes is closed in turn",
    transports: sockets,
    async run(stage, transport) {
      using webSocket = await open(stage, transport);
      webSocket.send({ opcode: close, payload: Uint8Array.of(0x03, 0xe8) });
      expect([1000, 1005]).toContain(await webSocket.closed);
    },
  },
];
