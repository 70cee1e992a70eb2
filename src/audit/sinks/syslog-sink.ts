/**
 * Lines to a syslog receiver over UDP (RFC 5426), TCP or TLS (RFC 5425). Syslog answers nothing: a datagram may be lost
 * unseen, and of a stream that breaks what was sent since the last `settle` is sent again.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectTcp, isIP, isIPv6, type Socket } from "node:net";
import { hostname } from "node:os";
import { connect as connectTls } from "node:tls";
import { type Sink, type SinkLine, SinkRefusal } from "./sink.ts";
import { frameOctets, renderSyslog, type SyslogOrigin } from "./syslog-message.ts";

export interface SyslogSinkOptions {
  readonly transport: "udp" | "tcp" | "tls";
  readonly host: string;
  readonly port: number;
  readonly facility: number;
  /** PEM; the system's CAs where undefined. */
  readonly ca: string | undefined;
}

/** Receivers take at least 2,048 bytes; most take this. */
const datagramBytesMax = 8192;

export function createSyslogSink(options: SyslogSinkOptions): Sink {
  const { facility } = options;
  const origin = { facility, hostname: hostname(), processId: process.pid };
  return options.transport === "udp"
    ? createDatagramSink(options, origin)
    : createStreamSink(options, origin);
}

function createStreamSink(options: SyslogSinkOptions, origin: SyslogOrigin): Sink {
  let connecting: Promise<Socket> | undefined;
  let opened: Socket | undefined;

  async function write(lines: readonly SinkLine[]): Promise<void> {
    connecting ??= connectStream(options);
    const socket = await connecting;
    opened = socket;
    const framed = lines.map((line) => frameOctets(renderSyslog(line, line.text, origin)));
    if (socket.destroyed || socket.readyState !== "open") throw new Error("the connection ended");
    await new Promise<void>((resolve, reject) => {
      socket.once("close", ended);
      socket.write(framed.join(""), (error) => {
        socket.off("close", ended);
        if (error) reject(error);
        else resolve();
      });
      function ended(): void {
        reject(new Error("the connection ended"));
      }
    });
  }

  return {
    isAcknowledged: false,
    write,
    async settle() {
      if (opened?.destroyed) throw new Error("the connection ended");
    },
    async close() {
      const socket = await connecting?.catch(() => undefined);
      socket?.destroySoon();
    },
  };
}

async function connectStream(options: SyslogSinkOptions): Promise<Socket> {
  const { host, port, ca } = options;
  const isTls = options.transport === "tls";
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket = isTls
    ? connectTls({
        host,
        port,
        ...name,
        ...(ca === undefined ? {} : { ca }),
        minVersion: "TLSv1.2",
      })
    : connectTcp({ host, port });
  try {
    await once(socket, isTls ? "secureConnect" : "connect");
  } catch (error) {
    socket.destroy();
    throw error;
  }
  // What a broken connection has to say, the next write says.
  socket.on("error", () => {});
  socket.on("end", () => socket.destroy());
  socket.resume();
  socket.setKeepAlive(true, 10_000);
  return socket;
}

function createDatagramSink(options: SyslogSinkOptions, origin: SyslogOrigin): Sink {
  let connecting: Promise<UdpSocket> | undefined;
  let failure: Error | undefined;

  async function connect(): Promise<UdpSocket> {
    const socket = createSocket(isIPv6(options.host) ? "udp6" : "udp4");
    socket.on("error", (error) => {
      failure = error;
    });
    socket.connect(options.port, options.host);
    await once(socket, "connect");
    return socket;
  }

  async function write(lines: readonly SinkLine[]): Promise<void> {
    connecting ??= connect();
    const socket = await connecting;
    for (const line of lines) {
      // Refused by the receiver's host: said by the system after the fact.
      if (failure !== undefined) throw failure;
      await send(socket, renderDatagram(line, origin));
    }
  }

  return {
    isAcknowledged: false,
    write,
    async settle() {
      if (failure !== undefined) throw failure;
    },
    async close() {
      (await connecting?.catch(() => undefined))?.close();
    },
  };
}

function renderDatagram(line: SinkLine, origin: SyslogOrigin): Buffer {
  const whole = Buffer.from(renderSyslog(line, line.text, origin));
  if (whole.length <= datagramBytesMax) return whole;
  const short = Buffer.from(renderSyslog(line, line.short, origin));
  if (short.length <= datagramBytesMax) return short;
  throw new SinkRefusal(`record ${line.seq} does not fit into a datagram`);
}

function send(socket: UdpSocket, message: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(message, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
