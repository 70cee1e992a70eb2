/** The WebSocket binding, on real sockets. */
import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import {
  initializeBody,
  legacyBody,
  modernBody,
  rawExchange,
  startAgents,
  type TestAgents,
  until,
} from "../support/agents.ts";

interface Client {
  readonly socket: WebSocket;
  readonly received: string[];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  send(text: string): void;
  /** The message with this id, once it has come. */
  answer(id: number | string | undefined): Promise<Record<string, unknown>>;
}

async function open(agents: TestAgents, path = "/ws", token = "alice"): Promise<Client> {
  const socket = new WebSocket(`ws://127.0.0.1:${agents.port}${path}`, {
    protocols: ["mcp"],
    headers: { authorization: `Bearer ${token}` },
  });
  const received: string[] = [];
  socket.onmessage = (event) => received.push(String(event.data));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.onclose = ({ code, reason }) => resolve({ code, reason });
  });
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error("the socket did not open"));
  });
  return {
    socket,
    received,
    closed,
    send: (text) => socket.send(text),
    async answer(id) {
      const isIt = (text: string) => JSON.parse(text).id === id && !text.includes('"method"');
      await until(() => received.some(isIt));
      return JSON.parse(received.find(isIt) ?? "");
    },
  };
}

function upgrade(lines: string, path = "/ws", host = "localhost"): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${lines}\r\n`
  );
}

const alice = "Authorization: Bearer alice\r\n";

describe("the upgrade", () => {
  const rows: readonly [string, string, number][] = [
    ["with the subprotocol", upgrade(`${alice}Sec-WebSocket-Protocol: x, mcp\r\n`), 101],
    ["without a subprotocol", upgrade(alice), 101],
    ["TW-01 foreign origin", upgrade(`${alice}Origin: https://evil.example\r\n`), 403],
    ["TW-01 wrong host", upgrade(alice, "/ws", "evil.example"), 403],
    ["TW-01 token in the query", upgrade("", "/ws?access_token=alice"), 401],
    ["TW-01 other subprotocol", upgrade(`${alice}Sec-WebSocket-Protocol: graphql\r\n`), 400],
    ["TW-01 no credential, but a cookie", upgrade("Cookie: token=alice\r\n"), 401],
    ["unknown scope", upgrade(alice, "/nowhere/ws"), 404],
    ["of another version", upgrade(alice).replace("Version: 13", "Version: 8"), 400],
    ["of no version", upgrade(alice).replace("Sec-WebSocket-Version: 13\r\n", ""), 400],
    ["without a key", upgrade(alice).replace(/Sec-WebSocket-Key: .*\r\n/, ""), 400],
    ["with a key cut short", upgrade(alice).replace("dGhl", ""), 400],
    ["with two keys", upgrade(`${alice}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`), 400],
    ["without Connection: Upgrade", upgrade(alice).replace("Connection: Upgrade\r\n", ""), 400],
    ["among others in Connection", upgrade(alice).replace("Connection: ", "Connection: x, "), 101],
    ["TH-04 with a chunked body", upgrade(`${alice}Transfer-Encoding: chunked\r\n`), 400],
    ["no upgrade at all", `GET /ws HTTP/1.1\r\nHost: localhost\r\n${alice}\r\n`, 405],
  ];
  for (const [name, bytes, status] of rows) {
    test(name, async () => {
      await using agents = await startAgents();
      const isHead = (text: string) => text.includes("\r\n\r\n");
      const received = await rawExchange(agents.port, bytes, status === 101 ? isHead : undefined);
      expect(Number(received.split(" ")[1])).toBe(status);
      const chosen = /sec-websocket-protocol: (.*)\r\n/i.exec(received)?.[1];
      expect(chosen).toBe(name === "with the subprotocol" ? "mcp" : undefined);
      if (status === 400) {
        expect(received).toContain('"name":"invalid-request"');
      }
      if (status === 401) expect(received).toContain("resource_metadata=");
      expect(received.toLowerCase()).not.toContain("sec-websocket-extensions");
    });
  }
});

describe("messages", () => {
  test("both eras on one socket, each with its own rules", async () => {
    await using agents = await startAgents();
    const client = await open(agents);
    client.send(legacyBody("tools/list", undefined, "early"));
    expect(await client.answer("early")).toMatchObject({ error: { code: 40001 } });
    client.send(legacyBody("ping", undefined, "early ping"));
    expect(await client.answer("early ping")).toMatchObject({ result: {} });
    client.send(modernBody("tools/call", { name: "echo", arguments: { a: 1 } }, "m1"));
    expect(await client.answer("m1")).toMatchObject({ result: { resultType: "complete" } });
    client.send(initializeBody("2025-06-18"));
    expect(await client.answer(1)).toMatchObject({ result: { protocolVersion: "2025-06-18" } });
    client.send(legacyBody("tools/call", { name: "echo", arguments: {} }, "l1"));
    expect((await client.answer("l1")).result).toEqual({ content: [{ type: "text", text: "{}" }] });
    client.send(modernBody("ping", {}, "m2"));
    expect(await client.answer("m2")).toMatchObject({ error: { code: -32601 } });
    client.send(legacyBody("ping", undefined, "l2"));
    expect(await client.answer("l2")).toMatchObject({ result: {} });
    client.send(modernBody("tools/list", {}, "m3").replace("2026-07-28", "2031-01-01"));
    expect(await client.answer("m3")).toMatchObject({ error: { code: -32022 } });
  });

  test("TW-09: bad JSON and arrays are answered without an id and the socket stays open; binary closes it", async () => {
    await using agents = await startAgents();
    const client = await open(agents);
    client.send("{nonsense");
    client.send(`[${modernBody("tools/list")}]`);
    await until(() => client.received.length === 2);
    expect(client.received.map((text) => JSON.parse(text))).toMatchObject([
      { error: { code: -32700 } },
      { error: { code: -32600 } },
    ]);
    expect(client.received.join("")).not.toContain('"id"');
    client.send(modernBody("tools/list", {}, 5));
    expect(await client.answer(5)).toMatchObject({ result: {} });
    client.socket.send(new Uint8Array([1, 2, 3]));
    expect((await client.closed).code).toBe(1003);
  });

  test("TW-02: a frame over the limit closes with 1009; other sockets do not notice", async () => {
    await using agents = await startAgents({ bodyBytesMax: 10_000 });
    const other = await open(agents);
    const client = await open(agents);
    client.send(modernBody("tools/call", { name: "echo", arguments: { a: "x".repeat(20_000) } }));
    expect([1006, 1009]).toContain((await client.closed).code);
    other.send(modernBody("tools/list", {}, 5));
    expect(await other.answer(5)).toMatchObject({ result: {} });
  });

  test("TW-02: an unmasked frame and one with a reserved bit close the connection", async () => {
    await using agents = await startAgents();
    for (const frame of [
      [0x81, 0x02, 0x7b, 0x7d],
      [0xc1, 0x82, 0, 0, 0, 0, 0x7b, 0x7d],
      [0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28],
    ]) {
      const closed = new Promise<void>((resolve) => {
        const socket = connect(agents.port, "127.0.0.1", () => socket.write(upgrade(alice)));
        socket.once("data", () => socket.write(Buffer.from(frame)));
        socket.on("error", () => {});
        socket.on("close", () => resolve());
      });
      await closed;
    }
    // What reached dispatch is what is recorded of them.
    const seen = agents.dispatch.seen.map(({ message }) => message.kind);
    expect(seen).toEqual(["malformed", "malformed", "malformed"]);
  });

  test("PR-08, PR-19: ids in flight, cancellation, and that it stays on its own socket", async () => {
    await using agents = await startAgents();
    const client = await open(agents);
    const other = await open(agents);
    client.send(modernBody("tools/call", { name: "wait", arguments: {} }, 1));
    await until(() => agents.dispatch.waiting() === 1);
    client.send(modernBody("tools/list", {}, 1));
    expect(await client.answer(undefined)).toMatchObject({ error: { code: -32600 } });
    const cancel = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}';
    other.send(cancel);
    other.send(modernBody("tools/list", {}, 2));
    await other.answer(2);
    expect(agents.dispatch.aborted).toEqual([]);
    client.send(cancel);
    await until(() => agents.dispatch.aborted.length === 1);
    client.send(modernBody("tools/list", {}, 1));
    expect(await client.answer(1)).toMatchObject({ result: {} });
    expect(client.received).toHaveLength(2);
  });

  test("progress comes before the result, in order", async () => {
    await using agents = await startAgents();
    const client = await open(agents);
    client.send(
      modernBody("tools/call", { name: "progress", arguments: {}, _meta: { progressToken: 4 } }, 1),
    );
    await client.answer(1);
    expect(client.received.map((text) => JSON.parse(text).params?.progress)).toEqual([
      1,
      2,
      3,
      undefined,
    ]);
  });

  test("TW-06: a lost socket cancels everything it had in flight", async () => {
    await using agents = await startAgents();
    const client = await open(agents);
    for (let id = 1; id <= 50; id += 1) {
      client.send(modernBody("tools/call", { name: "wait", arguments: {} }, id));
    }
    await until(() => agents.dispatch.waiting() === 50);
    client.socket.terminate();
    await until(() => agents.dispatch.aborted.length === 50);
  });

  test("TW-09: ten thousand messages at once leave room for others", async () => {
    await using agents = await startAgents();
    const busy = await open(agents);
    const other = await open(agents);
    for (let id = 0; id < 10_000; id += 1) busy.send(modernBody("tools/list", {}, id));
    other.send(modernBody("tools/list", {}, "other"));
    await other.answer("other");
    expect(busy.received.length).toBeLessThan(10_000);
    await until(() => busy.received.length === 10_000);
  });

  test("I-06: a pipeline that throws fails one call, not the socket", async () => {
    await using agents = await startAgents();
    const client = await open(agents);
    client.send(modernBody("tools/call", { name: "crash", arguments: {} }, 1));
    expect(await client.answer(1)).toMatchObject({ error: { code: -32603 } });
    client.send(modernBody("tools/list", {}, 2));
    expect(await client.answer(2)).toMatchObject({ result: {} });
  });

  test("requests in flight are bounded", async () => {
    await using agents = await startAgents({ callsPerConnectionMax: 2 });
    const client = await open(agents);
    for (const id of [1, 2, 3]) {
      client.send(modernBody("tools/call", { name: "wait", arguments: {} }, id));
    }
    expect(await client.answer(3)).toMatchObject({ error: { code: 42902 } });
  });

  test("TW-05: a flood of pings closes the socket", async () => {
    await using agents = await startAgents();
    const client = await open(agents);
    for (let at = 0; at < 500; at += 1) client.socket.ping();
    expect((await client.closed).code).toBe(1008);
  });
});

test("an idle timeout longer than the runtime keeps a socket does not stop the listener from starting", async () => {
  await using agents = await startAgents({ wsIdleSeconds: 3_600 });
  expect(agents.port).toBeGreaterThan(0);
});
