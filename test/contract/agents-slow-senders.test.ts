/**
 * Senders that take their time, on every transport, before anybody is authenticated: each is cut, and the place it
 * held is another's again (L09, TH-07, OV-05). The runtime's own clock cuts them, so this suite takes as long as it does,
 * and waits for all of them at once.
 */
import { expect, test } from "bun:test";
import { connect } from "node:net";
import { postModern, startAgents, type TestAgents } from "../support/agents.ts";
import { within } from "../support/deadline.ts";

/** Longest that one may hold a connection: the runtime looks at its clocks every four seconds. */
const cutMs = 25_000;

/** Sends the first bytes, then a piece every second; resolves with how long it was let. */
function drip(agents: TestAgents, first: string, piece: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(agents.port, "127.0.0.1", () =>
      socket.write(Buffer.from(first, "latin1")),
    );
    const timer = setInterval(() => piece !== "" && socket.write(piece), 1_000);
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearInterval(timer);
      resolve(received);
    });
  });
}

const paths = ["POST /mcp", "POST /all/sse", "GET /all/sse", "GET /all/ws"];
const heads = paths.map((line) => [line, `${line} HTTP/1.1\r\nHost: localhost\r\n`] as const);

test.concurrent("L09 TH-07: heads and bodies that come byte by byte, or not at all, are cut and hold no place", async () => {
  await using agents = await startAgents({ idleSeconds: 4, connectionsPerPeerMax: 4 });
  const bodies = `Authorization: Bearer alice\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: 4000\r\n\r\n{`;
  const slow: Record<string, Promise<string>> = {};
  for (const [line, head] of heads) {
    slow[`${line}, head byte by byte`] = drip(agents, head, "X-Slow: 1\r\n");
    slow[`${line}, half a head`] = drip(agents, head, "");
  }
  slow["a body byte by byte"] = drip(
    agents,
    `POST /mcp HTTP/1.1\r\nHost: localhost\r\n${bodies}`,
    " ",
  );
  slow["half a body"] = drip(agents, `POST /all/sse HTTP/1.1\r\nHost: localhost\r\n${bodies}`, "");
  slow["nothing at all"] = drip(agents, "", "");
  for (const [what, cut] of Object.entries(slow)) {
    const received = await within(what, cut, cutMs);
    // Whatever it is told, it is not an answer to a call.
    expect(received).not.toContain('"result"');
  }
  const answers = await Promise.all([1, 2, 3].map(() => postModern(agents, "tools/list")));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
}, 60_000);

test.concurrent("L09: half a frame on a socket is cut as silence is", async () => {
  await using agents = await startAgents({ wsIdleSeconds: 8 });
  const upgrade =
    "GET /all/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mcp\r\nAuthorization: Bearer alice\r\n\r\n";
  // A frame of a thousand bytes is announced, and two of them come.
  const frame = "\x81\xfe\x03\xe8\x00\x00\x00\x00{}";
  const received = await within("the cut", drip(agents, upgrade + frame, ""), cutMs);
  expect(received).toStartWith("HTTP/1.1 101");
}, 60_000);
