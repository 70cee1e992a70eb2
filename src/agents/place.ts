/**
 * Where the listener listens: at its own address, with TLS or without, or behind the front that reads agents'
 * certificates (`tls-front.ts`), on a loopback port of its own.
 */
import type { AgentsOptions } from "./options.ts";
import { createTlsFront, type TlsFront } from "./tls-front.ts";

export interface Place {
  readonly front: TlsFront | undefined;
  /** For `Bun.serve`. */
  readonly serving: {
    readonly hostname: string;
    readonly port: number;
    readonly tls?: { readonly cert: string; readonly key: string };
  };
  /** The URL and port agents use, once the server listens at `port`. */
  open(port: number): Promise<{ readonly url: string; readonly port: number }>;
  close(): Promise<void>;
}

export function createPlace(options: AgentsOptions): Place {
  const { host, port, tls, publicUrl, connectionsMax } = options;
  const scheme = tls === undefined ? "http" : "https";
  const front =
    tls?.clientCa === undefined
      ? undefined
      : createTlsFront({ host, port, connectionsMax, tls: { ...tls, clientCa: tls.clientCa } });
  const own = { hostname: host, port };
  return {
    front,
    serving:
      front !== undefined
        ? { hostname: "127.0.0.1", port: 0 }
        : tls === undefined
          ? own
          : { ...own, tls: { cert: tls.cert, key: tls.key } },
    async open(listening) {
      const reached = front === undefined ? listening : await front.start(listening);
      return { url: publicUrl ?? `${scheme}://${urlHost(host)}:${reached}`, port: reached };
    },
    close: async () => front?.stop(),
  };
}

function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
