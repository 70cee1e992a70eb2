/**
 * The bridge's pipe: messages of one client to the gateway's WebSocket and back, byte for byte. After a loss it connects
 * again and repeats the client's own handshake, so that the client notices nothing but the requests that were out:
 * those are answered with an error, since nobody knows whether they were carried out.
 */
import { randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { CommandError, exitCodes, messageOf } from "./command.ts";

export interface BridgePipeOptions {
  readonly endpoint: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Takes a message for the client, without a line break. */
  readonly write: (text: string) => void;
  readonly note: (text: string) => void;
}

export interface BridgePipe {
  /** Takes a message of the client. */
  take(text: string): void;
  /** Resolves when every request that will be answered is, at the latest after a few seconds. */
  finish(): Promise<void>;
  close(): void;
  /** Rejects where going on is of no use: the credential no longer holds. */
  readonly failed: Promise<never>;
}

/** What the pipe reads of a message; everything else is none of its business. */
interface Outline {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: { readonly requestId?: string | number };
  readonly error?: unknown;
}

const internalError = -32603;
const waitingMax = 1_000;
const finishMs = 5_000;
const firstRetryMs = 200;
const retryMsMax = 10_000;
const credentialClose = 4401;
/** An id no client uses, for the handshake that the pipe repeats. */
const repeatId = "mcp-gateway-bridge-handshake";

/** Connects; rejects with a CommandError that says why the gateway would not. */
export async function createBridgePipe(options: BridgePipeOptions): Promise<BridgePipe> {
  const { write, note } = options;
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  /** Methods of the requests that are out, by id. */
  const open = new Map<string | number, string>();
  const waiting: string[] = [];
  /** Set while messages may be sent: connected, and the handshake repeated where there was one. */
  let socket: WebSocket | undefined;
  let current: WebSocket | undefined;
  let initialize: { readonly id: string | number; readonly text: string } | undefined;
  let initialized: string | undefined;
  let isClosed = false;
  let idle: (() => void) | undefined;

  function send(text: string): void {
    if (socket !== undefined) socket.send(text);
    else if (waiting.length < waitingMax) waiting.push(text);
    else refuse(readOutline(text).id, "the gateway is away and too much is waiting");
  }

  function refuse(id: string | number | undefined, why: string): void {
    if (id === undefined) return;
    open.delete(id);
    if (id === initialize?.id) initialize = undefined;
    const error = { code: internalError, message: why };
    write(JSON.stringify({ jsonrpc: "2.0", id, error }));
  }

  function receive(text: string, from: WebSocket): void {
    const { id, method } = readOutline(text);
    if (id === repeatId) {
      if (initialized !== undefined) from.send(initialized);
      resume(from);
      return;
    }
    if (id !== undefined && method === undefined) {
      // A handshake that was refused is not repeated.
      if (id === initialize?.id && readOutline(text).error !== undefined) initialize = undefined;
      settle(id);
    }
    write(text);
  }

  function settle(id: string | number): void {
    open.delete(id);
    if (idle !== undefined && !isWaiting()) idle();
  }

  /** A listen lasts until somebody ends it: there is no answer to wait for. */
  function isWaiting(): boolean {
    return [...open.values()].some((method) => method !== "subscriptions/listen");
  }

  async function connect(): Promise<void> {
    const opened = await openSocket(options);
    opened.onmessage = (event) => receive(String(event.data), opened);
    current = opened;
    opened.onclose = ({ code, reason }) => {
      socket = undefined;
      if (isClosed) return;
      note(`the connection was closed (${code}${reason === "" ? "" : `, ${reason}`})`);
      const why = "the connection to the gateway was lost; the call may have been carried out";
      for (const id of [...open.keys()]) refuse(id, why);
      if (code === credentialClose) {
        failed.reject(new CommandError("the token no longer holds", exitCodes.failed));
      } else void reconnect();
    };
    if (initialize === undefined) resume(opened);
    else opened.send(JSON.stringify({ ...JSON.parse(initialize.text), id: repeatId }));
  }

  function resume(opened: WebSocket): void {
    socket = opened;
    for (const text of waiting.splice(0)) opened.send(text);
  }

  async function reconnect(): Promise<void> {
    for (let waitMs = firstRetryMs; !isClosed; waitMs = Math.min(waitMs * 2, retryMsMax)) {
      await delay(waitMs / 2 + randomInt(waitMs / 2), undefined, { ref: false });
      try {
        if (!isClosed) await connect();
        return;
      } catch (error) {
        note(messageOf(error));
      }
    }
  }

  await connect();
  return {
    take(text) {
      const { id, method, params } = readOutline(text);
      if (method === "initialize" && id !== undefined) initialize = { id, text };
      if (method === "notifications/initialized") initialized = text;
      // What the client withdraws is not answered.
      if (method === "notifications/cancelled" && params?.requestId !== undefined) {
        settle(params.requestId);
      }
      if (method !== undefined && id !== undefined) open.set(id, method);
      send(text);
    },
    async finish() {
      if (!isWaiting()) return;
      const answered = new Promise<void>((resolve) => {
        idle = resolve;
      });
      await Promise.race([answered, delay(finishMs)]);
    },
    close() {
      isClosed = true;
      current?.close();
    },
    failed: failed.promise,
  };
}

/** Opens the WebSocket; where it is refused, the gateway is asked over HTTP for the reason it cannot say here. */
async function openSocket({ endpoint, headers }: BridgePipeOptions): Promise<WebSocket> {
  const socket = new WebSocket(endpoint, { protocols: ["mcp"], headers: { ...headers } });
  const isOpen = await new Promise<boolean>((resolve) => {
    socket.onopen = () => resolve(true);
    socket.onclose = () => resolve(false);
    socket.onerror = () => {};
  });
  if (isOpen) return socket;
  throw await reasonOf(endpoint, headers);
}

async function reasonOf(
  endpoint: URL,
  headers: Readonly<Record<string, string>>,
): Promise<CommandError> {
  const url = new URL(endpoint);
  url.protocol = url.protocol.replace("ws", "http");
  // The endpoint that gives tickets has the same door as the WebSocket beside it.
  url.pathname = url.pathname.replace(/^\/ws$/, "/all/ws").replace(/\/ws$/, "/ws-ticket");
  try {
    const response = await fetch(url, { method: "POST", headers });
    const words = response.ok ? "it takes no WebSocket" : await errorWords(response);
    return new CommandError(`${url.origin} refused: ${words}`, exitCodes.failed);
  } catch {
    const message = `nobody answers at ${url.origin}; is the gateway running there? (--url URL)`;
    return new CommandError(message, exitCodes.unreachable);
  }
}

async function errorWords(response: Response): Promise<string> {
  const body: unknown = await response.json().catch(() => undefined);
  const isError = typeof body === "object" && body !== null && "error" in body;
  const error = isError ? body.error : undefined;
  const hasWords = typeof error === "object" && error !== null && "message" in error;
  return hasWords ? String(error.message) : `status ${response.status}`;
}

function readOutline(text: string): Outline {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === "object" && message !== null ? message : {};
  } catch {
    return {};
  }
}
