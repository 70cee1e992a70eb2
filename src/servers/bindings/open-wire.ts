/**
 * Picks the binding for a server's transport: the only place that knows all four. Streamable HTTP is a wire by
 * itself; the others are channels under `duplex.ts`.
 */
import type { CancelSignal } from "../../lib/cancellation.ts";
import type { ScanLimits } from "../../protocol/scan.ts";
import type { Log } from "../../telemetry/log.ts";
import { authorisedClient, authorisedPool } from "../credentials/authorised-http.ts";
import type { Credentials } from "../credentials/credentials.ts";
import { withHandshake } from "../credentials/handshake.ts";
import type { ServerSpec } from "../spec.ts";
import type { Channel, ChannelEvents, OpenWire } from "../wire.ts";
import { openDuplex } from "./duplex.ts";
import { createHttpPool } from "./http.ts";
import { createHttpClient } from "./http-client.ts";
import { openHttpSseChannel } from "./http-sse.ts";
import { openStdioChannel } from "./stdio.ts";
import { openStreamableHttp } from "./streamable-http.ts";
import { openWebSocketChannel } from "./websocket.ts";

export interface BindingOptions {
  readonly spec: ServerSpec;
  /** Undefined = the server's headers alone. */
  readonly credentials: Credentials | undefined;
  readonly inheritedEnvironment: Readonly<Record<string, string | undefined>>;
  readonly scanLimits: ScanLimits;
  readonly stderrLineBytesMax: number;
  readonly queuedBytesMax: number;
  readonly stopStepMs: number;
  readonly beatMs: number;
  readonly log: Log;
  readonly countStray: () => void;
}

export interface Binding {
  readonly open: OpenWire;
  /** Ends the keep-alive connections, where the transport has any. */
  readonly closePool: () => void;
}

export function createBinding(options: BindingOptions): Binding {
  const { spec, credentials } = options;
  const { transport } = spec;
  const headers = headersOf(spec);
  // A base64 blob is one long string: the answer's own byte limit bounds it.
  const scanLimits = { ...options.scanLimits, stringCharsMax: spec.responseBytesMax };
  const shared = { ...options, server: spec.name, scanLimits };
  const overChannel =
    (open: (events: ChannelEvents, signal: CancelSignal) => Promise<Channel>): OpenWire =>
    (events, signal) =>
      openDuplex({ ...shared, events, open: (channelEvents) => open(channelEvents, signal) });
  switch (transport.kind) {
    case "stdio": {
      const stdio = { ...options, transport };
      return {
        open: overChannel((events) => openStdioChannel(stdio, events)),
        closePool: () => {},
      };
    }
    case "websocket": {
      const { url } = transport;
      const socket = { ...options, url, closeTimeoutMs: options.stopStepMs };
      return {
        open: overChannel((events, signal) =>
          withHandshake(credentials, headers, events, (all, own) =>
            openWebSocketChannel({ ...socket, headers: all }, own, signal),
          ),
        ),
        closePool: () => {},
      };
    }
    case "http-sse": {
      const pool = lazy(() => {
        const plain = createHttpPool(spec, transport.url);
        return credentials === undefined ? plain : authorisedPool(plain, credentials);
      });
      return {
        open: overChannel((events, signal) =>
          openHttpSseChannel({ spec, headers, pool: pool.get() }, events, signal),
        ),
        closePool: pool.close,
      };
    }
    case "streamable-http": {
      const client = lazy(() => {
        const plain = createHttpClient(spec, transport.url);
        return credentials === undefined ? plain : authorisedClient(plain, credentials);
      });
      return {
        open: async (events) =>
          openStreamableHttp({ ...shared, headers, events, http: client.get() }),
        closePool: client.close,
      };
    }
  }
}

/** What the operator set, and what proves that it is this gateway that asks (R13). */
function headersOf({ transport, auth }: ServerSpec): Readonly<Record<string, string>> {
  if (transport.kind === "stdio") return {};
  const secret = auth?.gatewaySecret;
  return secret === undefined
    ? transport.headers
    : { ...transport.headers, "x-gateway-auth": secret };
}

/** Made at the first use, so that a URL that may not be dialled fails the call and not the gateway's start. */
function lazy<Pool extends { close(): void }>(create: () => Pool) {
  let pool: Pool | undefined;
  return {
    get(): Pool {
      pool ??= create();
      return pool;
    },
    close: () => pool?.close(),
  };
}
