/**
 * Receivers of log lines on loopback: syslog over UDP, TCP and TLS, and an OpenTelemetry collector. Each keeps what
 * came and can be made to fail.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Certificate } from "./certificates.ts";

export interface SyslogReceiver extends AsyncDisposable {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  /** Whole messages, in the order they came. */
  readonly messages: string[];
  /** Cuts what is open and listens no more. */
  stop(): Promise<void>;
}

export async function startUdpSyslog(): Promise<SyslogReceiver> {
  const messages: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (message) => messages.push(message.toString("utf8")));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  let isOpen = true;
  const stop = async () => {
    if (isOpen) socket.close();
    isOpen = false;
  };
  const address = `127.0.0.1:${socket.address().port}`;
  return { address, messages, stop, [Symbol.asyncDispose]: stop };
}

/** Over TLS where a certificate is given; on a port of its own where none is. */
export async function startStreamSyslog(
  certificate?: Certificate,
  port = 0,
): Promise<SyslogReceiver> {
  const messages: string[] = [];
  const sockets = new Set<Socket>();
  const serve = (socket: Socket): void => {
    sockets.add(socket);
    let rest: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      rest = takeFrames(Buffer.concat([rest, chunk]), messages);
    });
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  };
  const server: Server =
    certificate === undefined
      ? createServer(serve)
      : createTlsServer(
          {
            cert: readFileSync(certificate.certificateFile),
            key: readFileSync(certificate.keyFile),
          },
          serve,
        );
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const stop = async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  const { port: bound } = server.address() as AddressInfo;
  return { address: `127.0.0.1:${bound}`, messages, stop, [Symbol.asyncDispose]: stop };
}

/** Octet counting (RFC 6587): takes the whole frames and returns what is left. */
function takeFrames(bytes: Buffer, into: string[]): Buffer {
  let rest = bytes;
  for (;;) {
    const space = rest.indexOf(0x20);
    if (space === -1) return rest;
    const count = Number(rest.toString("ascii", 0, space));
    if (!Number.isInteger(count))
      throw new Error(`no octet count: ${rest.toString("utf8", 0, 40)}`);
    if (rest.length < space + 1 + count) return rest;
    into.push(rest.toString("utf8", space + 1, space + 1 + count));
    rest = rest.subarray(space + 1 + count);
  }
}

/** The JSON of a syslog message. */
export function bodyOf(message: string): Record<string, unknown> {
  return JSON.parse(message.slice(message.indexOf("{")));
}
