/**
 * The WebSocket binding, client side: one JSON-RPC message a text frame, subprotocol `mcp` offered. The `ws` package
 * is imported by file path because Bun answers `import "ws"` with a shim of its own, which has no address look-up hook;
 * the path is resolved when the executable is built.
 */

import type { LookupFunction } from "node:net";
import type { ClientOptions, WebSocket as WsSocket } from "ws";
// @ts-expect-error The file has no types of its own; they are those of the package, taken just below.
import wsModule from "../../../node_modules/ws/lib/websocket.js";
import type { CancelSignal } from "../../lib/cancellation.ts";
import { checkedUrl, createEgressLookup } from "../egress.ts";
import { errorCode, errorOf, invalidAnswer, oversizedAnswer, unreachable } from "../faults.ts";
import type { ServerSpec } from "../spec.ts";
import type { Channel, ChannelEvents } from "../wire.ts";
import { operatorHeaders } from "./http.ts";

/** Not in the types: `ws` hands its options on to `http.request`, so the hook works; the other is its own. */
type Options = ClientOptions & { readonly lookup: LookupFunction; readonly closeTimeout: number };

const RealWebSocket: new (url: string, protocols: string[], options: Options) => WsSocket =
  wsModule;

export interface WebSocketOptions {
  readonly spec: ServerSpec;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes that may wait for a server that does not read. */
  readonly queuedBytesMax: number;
  /** A closing handshake that takes longer is cut. */
  readonly closeTimeoutMs: number;
  /** How often the server is asked whether it is there. */
  readonly beatMs: number;
}

const resolvedAddressesMax = 16;

export async function openWebSocketChannel(
  options: WebSocketOptions,
  events: ChannelEvents,
  signal: CancelSignal,
): Promise<Channel> {
  const { spec } = options;
  const url = checkedUrl(options.url, "websocket", spec.allowPrivateNetwork);
  const socket = new RealWebSocket(url.href, ["mcp"], {
    headers: operatorHeaders(options.headers),
    lookup: createEgressLookup(spec.allowPrivateNetwork, resolvedAddressesMax),
    followRedirects: false,
    perMessageDeflate: false,
    closeTimeout: options.closeTimeoutMs,
    maxPayload: spec.responseBytesMax,
  });
  // To `ws`, a server that selects no subprotocol has refused the one offered; here it may.
  socket.once("upgrade", ({ headers }) => {
    headers["sec-websocket-protocol"] ??= "mcp";
  });
  // Listening starts first: the server may speak in the same packet that accepts the upgrade.
  readFrames(socket, spec, events);
  watch(socket, options, events);
  const giveUp = () => socket.terminate();
  // The timeout of `ws` begins anew with every byte of the handshake.
  const timer = setTimeout(giveUp, spec.connectTimeoutMs);
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    await opened(socket, spec);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  }
  return {
    send(text) {
      if (socket.readyState !== socket.OPEN) return unreachable(spec.name, "socket-closed");
      if (socket.bufferedAmount > options.queuedBytesMax) {
        return unreachable(spec.name, "not-reading");
      }
      socket.send(text);
      return undefined;
    },
    close: () => closed(socket),
  };
}

function opened(socket: WsSocket, spec: ServerSpec): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("unexpected-response", (_request, response) => {
      socket.terminate();
      reject(errorOf(invalidAnswer(spec.name, `status-${response.statusCode}`)));
    });
    socket.on("error", (error) => reject(errorOf(unreachable(spec.name, errorCode(error)))));
  });
}

function readFrames(socket: WsSocket, spec: ServerSpec, events: ChannelEvents): void {
  socket.on("message", (frame, isBinary) => {
    if (!isBinary) return events.onText(frame.toString());
    socket.close(1003);
    events.onClose(invalidAnswer(spec.name, "binary-frame"));
  });
  // The error comes first and says why; the close after it is then no news.
  socket.on("error", (error) => {
    const isTooLong = errorCode(error) === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH";
    events.onClose(
      isTooLong
        ? oversizedAnswer(spec.name, spec.responseBytesMax)
        : invalidAnswer(spec.name, errorCode(error)),
    );
  });
  socket.on("close", (code) => events.onClose(unreachable(spec.name, `socket-closed-${code}`)));
}

/**
 * Takes a server for gone once nothing came for longer than a call may take: it vanished without a word, or hangs. One
 * that computes for a while without looking at its socket is only slow.
 */
function watch(
  socket: WsSocket,
  { spec, beatMs }: Pick<WebSocketOptions, "spec" | "beatMs">,
  events: ChannelEvents,
): void {
  const silentBeatsMax = Math.max(2, Math.ceil(spec.callTimeoutMs / beatMs));
  let silentBeats = 0;
  const heard = () => {
    silentBeats = 0;
  };
  for (const sign of ["message", "ping", "pong"]) socket.on(sign, heard);
  const timer = setInterval(() => {
    if (socket.readyState !== socket.OPEN) return;
    silentBeats += 1;
    if (silentBeats <= silentBeatsMax) return socket.ping();
    events.onClose(unreachable(spec.name, "silent"));
    socket.terminate();
  }, beatMs);
  timer.unref();
  socket.once("close", () => clearInterval(timer));
}

function closed(socket: WsSocket): Promise<void> {
  if (socket.readyState === socket.CLOSED) return Promise.resolve();
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
    socket.close(1000);
  });
}
