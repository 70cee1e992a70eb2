/**
 * The upstream HTTP connections on real sockets: reuse, cancellation, what a failure says about the request, and TLS
 * with the egress check in front of it.
 */
import { afterEach, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { hostname } from "node:os";
import { createServer as createTlsServer } from "node:tls";
import {
  createHttpClient,
  type HttpClient,
  headerLines,
} from "../../src/servers/bindings/http-client.ts";
import { createAuthority } from "../support/certificates.ts";
import { until } from "../support/deadline.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/** Hands each request, as it arrives, to `reply`; returns the port and the sockets seen. */
async function serve(
  reply: (socket: Socket, count: number) => void,
  make: (listener: (socket: Socket) => void) => Server = createServer,
) {
  const sockets: Socket[] = [];
  let count = 0;
  const server = make((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", () => {
      count += 1;
      reply(socket, count);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { port: address.port, sockets };
}

function clientFor(url: string, { allowPrivateNetwork = true } = {}): HttpClient {
  const limits = { allowPrivateNetwork, connectTimeoutMs: 2_000, maxInFlight: 8 };
  const client = createHttpClient(limits, url);
  ends.push(client.close);
  return client;
}

/** One exchange as a word: the body, or the kind and code of its failure. */
function exchange(client: HttpClient, onStart: (stop: () => void) => void = () => {}) {
  return new Promise<string>((resolve) => {
    let body = "";
    const stop = client.start("POST", "content-length: 2\r\n", "{}", {
      onHead: () => {},
      onChunk: (chunk) => {
        body += chunk.toString();
      },
      onEnd: () => resolve(body),
      onFailure: (code, kind) => resolve(`${kind} ${code}`),
    });
    onStart(stop);
  });
}

test("requests one after the other share a connection, those at once do not", async () => {
  const { port, sockets } = await serve((socket) => socket.write(hello));
  const client = clientFor(`http://127.0.0.1:${port}/`);
  expect(await exchange(client)).toBe("hello");
  expect(await exchange(client)).toBe("hello");
  expect(sockets.length).toBe(1);
  expect(await Promise.all([exchange(client), exchange(client)])).toEqual(["hello", "hello"]);
  expect(sockets.length).toBe(2);
});

test.each([
  ["says so", hello.replace("\r\n", "\r\nConnection: close\r\n")],
  ["sent more than its answer", `${hello}HTTP/1.1 200 OK\r\n`],
])("a connection whose server %s is not used again", async (_name, text) => {
  const { port, sockets } = await serve((socket) => socket.write(text));
  const client = clientFor(`http://127.0.0.1:${port}/`);
  expect(await exchange(client)).toBe("hello");
  expect(await exchange(client)).toBe("hello");
  expect(sockets.length).toBe(2);
});

test("a connection that speaks while idle is closed before the next request", async () => {
  const { port, sockets } = await serve((socket) => socket.write(hello));
  const client = clientFor(`http://127.0.0.1:${port}/`);
  await exchange(client);
  sockets[0]?.write(hello.replace("hello", "trick"));
  await until("the connection closes", () => sockets[0]?.destroyed);
  expect(await exchange(client)).toBe("hello");
  expect(sockets.length).toBe(2);
});

test("a connection lies idle no longer than its server announced", async () => {
  const text = hello.replace("\r\n", "\r\nKeep-Alive: timeout=1, max=9\r\n");
  const { port, sockets } = await serve((socket) => socket.write(text));
  const client = clientFor(`http://127.0.0.1:${port}/`);
  expect(await exchange(client)).toBe("hello");
  await until("the connection closes", () => sockets[0]?.destroyed);
  expect(await exchange(client)).toBe("hello");
  expect(sockets.length).toBe(2);
});

test("a connection the server closed while idle is not tried again", async () => {
  const { port, sockets } = await serve((socket) => socket.write(hello));
  const client = clientFor(`http://127.0.0.1:${port}/`);
  expect(await exchange(client)).toBe("hello");
  sockets[0]?.end();
  await until("the connection closes", () => sockets[0]?.destroyed);
  expect(await exchange(client)).toBe("hello");
});

test("stopping a request closes its connection and nobody else's", async () => {
  const { port, sockets } = await serve((socket, count) => {
    if (count > 1) socket.write(hello);
  });
  const client = clientFor(`http://127.0.0.1:${port}/`);
  const stops: (() => void)[] = [];
  void exchange(client, (stop) => stops.push(stop));
  await until("the first request arrives", () => sockets.length === 1);
  expect(await exchange(client, (stop) => stops.push(stop))).toBe("hello");
  for (const stop of stops) stop();
  await until("the first connection closes", () => sockets[0]?.destroyed);
  expect(await exchange(client)).toBe("hello");
  expect(sockets.length).toBe(2);
});

test.each<[string, (socket: Socket) => void, string]>([
  ["closed before the answer", (socket) => socket.end(), "lost closed"],
  ["closed within the answer", (socket) => socket.end(hello.slice(0, -2)), "lost closed"],
  ["answered with nonsense", (socket) => socket.write("SSH-2.0-x\r\n\r\n"), "invalid status-line"],
])("a request whose connection is %s", async (_name, reply, expected) => {
  const { port } = await serve(reply);
  expect(await exchange(clientFor(`http://127.0.0.1:${port}/`))).toBe(expected);
});

test("a connection that is refused sent nothing", async () => {
  const { port } = await serve(() => {});
  for (const end of ends.splice(0)) end();
  expect(await exchange(clientFor(`http://127.0.0.1:${port}/`))).toMatch(/^unsent /);
});

test("over TLS a name that resolves to a private address is not dialled", async () => {
  const { port, sockets } = await serve((socket) => socket.write(hello));
  // `localhost` would be refused by its name alone; this machine's own name is decided by what it stands for.
  const client = clientFor(`https://${hostname()}:${port}/`, { allowPrivateNetwork: false });
  expect(await exchange(client)).toBe("unsent EGRESS_REFUSED");
  expect(sockets.length).toBe(0);
});

test("over TLS a certificate of an unknown authority is refused before anything is sent", async () => {
  await using folder = temporaryFolder("tls");
  const { certificateFile, keyFile } = await (await createAuthority(folder.path)).issue("server");
  const key = await Bun.file(keyFile).text();
  const cert = await Bun.file(certificateFile).text();
  let requests = 0;
  const { port } = await serve(
    () => {
      requests += 1;
    },
    (listener) => createTlsServer({ key, cert }, listener),
  );
  expect(await exchange(clientFor(`https://localhost:${port}/`))).toMatch(/^unsent /);
  expect(requests).toBe(0);
});

test.each<[string, Readonly<Record<string, string>>]>([
  ["a value with a line break", { a: "b\r\nc: d" }],
  ["a value beyond ASCII", { a: "é" }],
  ["a name with a space", { "a b": "c" }],
])("%s is no header line", (_name, headers) => {
  expect(headerLines(headers)).toBeUndefined();
});
