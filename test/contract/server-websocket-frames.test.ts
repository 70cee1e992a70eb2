/** The WebSocket binding towards servers, against a server by hand: handshakes and frames that `ws` servers never send. */
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { Cancellation } from "../../src/lib/cancellation.ts";
import { openWebSocketChannel } from "../../src/servers/bindings/websocket.ts";
import type { ServerSpec } from "../../src/servers/spec.ts";
import type { Channel } from "../../src/servers/wire.ts";
import { until, within } from "../support/deadline.ts";
import { encodeFrame, opcodes } from "../support/raw-websocket.ts";

const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const subprotocol = "Sec-WebSocket-Protocol: mcp\r\n";
const { text, binary, close, pong } = opcodes;
const frame = (opcode: number, payload: string | Uint8Array) =>
  encodeFrame({ opcode, payload, isMasked: false });

/** Hands over each connection with the answer that accepts its handshake. Ends no connection by itself. */
async function startRawServer(accept: (socket: Socket, answer: string) => void) {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (head) => {
      const key = /sec-websocket-key: (.*)\r\n/i.exec(head.toString())?.[1] ?? "";
      const proof = createHash("sha1")
        .update(key + magic)
        .digest("base64");
      accept(
        socket,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          `Sec-WebSocket-Accept: ${proof}\r\n${subprotocol}\r\n`,
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `ws://127.0.0.1:${address.port}/`,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

interface Opened {
  readonly channel: Channel;
  readonly texts: readonly string[];
  /** Name and reason of each end told. */
  readonly ends: readonly string[];
}

async function open(
  url: string,
  { connectTimeoutMs = 30_000, callTimeoutMs = 1_000, beatMs = 15_000 } = {},
): Promise<Opened> {
  const texts: string[] = [];
  const ends: string[] = [];
  const spec: ServerSpec = {
    name: "raw",
    description: "",
    transport: { kind: "websocket", url, headers: {} },
    era: "auto",
    enabled: true,
    connectTimeoutMs,
    callTimeoutMs,
    responseBytesMax: 1_000_000,
    maxInFlight: 10,
    listTtlMs: 0,
    listsPublic: false,
    toolSettings: [],
    dataClass: "INTERNAL",
    allowPrivateNetwork: true,
  };
  const channel = await openWebSocketChannel(
    { spec, url, headers: {}, queuedBytesMax: 1_000_000, closeTimeoutMs: 100, beatMs },
    {
      onText: (message) => texts.push(message),
      onClose: ({ name, reason }) => ends.push(`${name}:${reason}`),
    },
    new Cancellation().signal,
  );
  return { channel, texts, ends };
}

test("a server may select the subprotocol or none, and speak in the packet that accepts", async () => {
  for (const selected of [subprotocol, ""]) {
    using server = await startRawServer((socket, answer) => {
      const bytes = answer.replace(subprotocol, selected);
      socket.write(Buffer.concat([Buffer.from(bytes), frame(text, "early")]));
    });
    const { channel, texts } = await open(server.url);
    await until("its first word", () => texts.length === 1);
    expect(texts).toEqual(["early"]);
    await channel.close();
  }
});

test("a server that selects another subprotocol is refused", async () => {
  using server = await startRawServer((socket, answer) =>
    socket.write(answer.replace("Protocol: mcp", "Protocol: graphql")),
  );
  expect(await open(server.url).catch((error) => error.name)).toBe("GatewayError");
});

test("UP-16: a handshake that comes byte by byte is over when the time to connect is", async () => {
  using server = await startRawServer((socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nX-Slow: ");
    const drip = setInterval(() => socket.write("x"), 20);
    socket.on("close", () => clearInterval(drip));
  });
  const refused = open(server.url, { connectTimeoutMs: 200 }).catch((error) => error.fault.name);
  expect(await within("the end of the wait", refused, 10_000)).toBe("upstream-unreachable");
});

test("TW-09: a binary frame ends the connection at once, whether the server closes its side or not", async () => {
  using server = await startRawServer((socket, answer) => {
    socket.write(answer);
    socket.write(Buffer.concat([frame(binary, "{}"), frame(text, "too late")]));
  });
  const { ends } = await open(server.url);
  await until("the end", () => ends.length > 0, 10_000);
  expect(ends[0]).toBe("upstream-invalid:binary-frame");
});

test("TW-05: a server that says it closes and does not is closed on", async () => {
  using server = await startRawServer((socket, answer) => {
    socket.write(answer);
    socket.write(frame(close, Uint8Array.of(0x03, 0xe9)));
  });
  const { channel, ends } = await open(server.url);
  await until("the end", () => ends.length > 0, 10_000);
  expect(ends).toEqual(["upstream-unreachable:socket-closed-1001"]);
  await channel.close();
});

test("UP-16: a server that says nothing for longer than a call may take is gone; one that answers pings stays", async () => {
  const quick = { callTimeoutMs: 100, beatMs: 10 };
  using dumb = await startRawServer((socket, answer) => socket.write(answer));
  const silent = await open(dumb.url, quick);
  await until("the end", () => silent.ends.length > 0, 10_000);
  expect(silent.ends[0]).toBe("upstream-unreachable:silent");

  let asked = 0;
  using alive = await startRawServer((socket, answer) => {
    socket.write(answer);
    socket.on("data", () => {
      asked += 1;
      socket.write(frame(pong, ""));
    });
  });
  const idle = await open(alive.url, quick);
  await until("three times as many beats", () => asked > 30);
  expect(idle.ends).toEqual([]);
  await idle.channel.close();
});
