/**
 * TLS in front of the listener, where agents may show certificates: Bun's own server checks them and then tells
 * nobody whose they were (oven-sh/bun 14097), `node:tls` does. Each connection is carried on over one loopback
 * connection to the listener, which knows it again by its port; whoever else comes to that port is nobody's agent.
 */
import { connect, type Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { plainAddress } from "../lib/networks.ts";

export interface TunnelEnd {
  /** Of the agent's end. */
  readonly address: string;
  /** DER, issued by the configured authority; undefined where the agent showed none. */
  readonly certificate: Uint8Array | undefined;
}

export interface TlsFrontOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string };
  readonly connectionsMax: number;
}

export interface TlsFront {
  /** Starts carrying connections to the listener at this loopback port; resolves with the port agents use. */
  start(listenerPort: number): Promise<number>;
  /** Who is at the other end of the connection that comes from this loopback port; undefined = not one of ours. */
  endOf(port: number): TunnelEnd | undefined;
  stop(): Promise<void>;
}

const handshakeTimeoutMs = 10_000;

export function createTlsFront(options: TlsFrontOptions): TlsFront {
  const { cert, key, clientCa } = options.tls;
  const ends = new Map<number, TunnelEnd>();
  const sockets = new Set<Socket>();
  let listenerPort = 0;

  const server = createServer(
    {
      cert,
      key,
      ca: clientCa,
      requestCert: true,
      // Agents without a certificate have their tokens; one of another authority is refused below.
      rejectUnauthorized: false,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
      handshakeTimeout: handshakeTimeoutMs,
    },
    accept,
  );
  server.maxConnections = options.connectionsMax;
  // A failed handshake concerns its connection alone.
  server.on("tlsClientError", (_, socket) => socket.destroy());

  function accept(agent: TLSSocket): void {
    const certificate = certificateOf(agent);
    if (certificate !== undefined && !agent.authorized) {
      agent.destroy();
      return;
    }
    const end = { address: plainAddress(agent.remoteAddress ?? ""), certificate };
    const inner = connect({ host: "127.0.0.1", port: listenerPort });
    let ownPort: number | undefined;
    inner.once("connect", () => {
      ownPort = inner.localPort;
      if (ownPort === undefined) return void inner.destroy();
      ends.set(ownPort, end);
      agent.pipe(inner);
      inner.pipe(agent);
    });
    sockets.add(agent).add(inner);
    // Either end's going away, or breaking, is the other's end.
    const close = () => {
      sockets.delete(agent);
      sockets.delete(inner);
      if (ownPort !== undefined) ends.delete(ownPort);
      ownPort = undefined;
      agent.destroy();
      inner.destroy();
    };
    for (const socket of [agent, inner]) socket.on("close", close).on("error", close);
  }

  return {
    start(port) {
      listenerPort = port;
      return new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(options.port, options.host, () => {
          const address = server.address();
          resolve(typeof address === "object" && address !== null ? address.port : options.port);
        });
      });
    },
    endOf: (port) => ends.get(port),
    stop() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

/** An object without members is what stands for "none". */
function certificateOf(agent: TLSSocket): Uint8Array | undefined {
  const { raw } = agent.getPeerCertificate(true) ?? {};
  return raw;
}
