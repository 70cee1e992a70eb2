/**
 * Upstream HTTP for one Streamable HTTP server: requests over keep-alive connections of our own, because node:http
 * costs three times the CPU of the exchange itself. One request at a time on a connection, nothing followed, nothing
 * decompressed; addresses pass the egress check, and connecting has its own time limit. Knows no MCP.
 */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { bareHost, checkedUrl, createEgressLookup } from "../egress.ts";
import { errorCode } from "../faults.ts";
import type { ServerSpec } from "../spec.ts";
import { createResponseParser, ResponseError, type ResponseHead } from "./http-response-parser.ts";

/** `unsent`: the request surely never left. `lost`: nobody knows. `invalid`: what came is not an HTTP answer. */
export type FailureKind = "unsent" | "lost" | "invalid";

/** Takes one answer; after `onEnd` or `onFailure` nothing more is called. */
export interface AnswerReader {
  onHead(head: ResponseHead): void;
  onChunk(chunk: Buffer): void;
  onEnd(): void;
  onFailure(code: string, kind: FailureKind): void;
}

export interface HttpClient {
  readonly url: URL;
  /** Starts one request; `fields` are whole header lines. The returned function ends it, with its connection. */
  start(
    method: "GET" | "POST" | "DELETE",
    fields: string,
    body: string,
    reader: AnswerReader,
  ): () => void;
  close(): void;
}

interface Connection {
  send(text: string, reader: AnswerReader): void;
  /** Ends the connection if it still carries this reader's request. */
  abandon(reader: AnswerReader): void;
  close(): void;
}

const resolvedAddressesMax = 16;
const idleMax = 256;
/** A server that announces when it closes idle connections is left this much before. */
const idleMarginMs = 1_000;
const keepAliveMs = 1_000;

type Limits = Pick<ServerSpec, "allowPrivateNetwork" | "connectTimeoutMs" | "maxInFlight">;

export function createHttpClient(spec: Limits, urlText: string): HttpClient {
  const url = checkedUrl(urlText, "http", spec.allowPrivateNetwork);
  const target = `${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n`;
  const dial = createDial(spec, url);
  const all = new Set<Connection>();
  const idle: Connection[] = [];
  const idleLimit = Math.min(spec.maxInFlight, idleMax);
  let isClosed = false;

  function open(): Connection {
    const connection = openConnection(dial, spec.connectTimeoutMs, {
      onIdle() {
        if (isClosed || idle.length >= idleLimit) connection.close();
        else idle.push(connection);
      },
      onClose() {
        all.delete(connection);
        const at = idle.indexOf(connection);
        if (at !== -1) idle.splice(at, 1);
      },
    });
    all.add(connection);
    return connection;
  }

  return {
    url,
    start(method, fields, body, reader) {
      const connection = idle.pop() ?? open();
      connection.send(`${method} ${target}${fields}\r\n${body}`, reader);
      return () => connection.abandon(reader);
    },
    close() {
      isClosed = true;
      for (const connection of all) connection.close();
    },
  };
}

function createDial(spec: Limits, url: URL): () => Socket {
  const host = bareHost(url);
  const isSecure = url.protocol === "https:";
  const to = {
    host,
    port: url.port === "" ? (isSecure ? 443 : 80) : Number(url.port),
    lookup: createEgressLookup(spec.allowPrivateNetwork, resolvedAddressesMax),
    noDelay: true,
  };
  if (!isSecure) return () => connectTcp(to);
  const named = isIP(host) === 0 ? { servername: host } : {};
  return () => connectTls({ ...to, ...named, ALPNProtocols: ["http/1.1"] });
}

function openConnection(
  dial: () => Socket,
  connectTimeoutMs: number,
  events: { readonly onIdle: () => void; readonly onClose: () => void },
): Connection {
  const socket = dial();
  let reader: AnswerReader | undefined;
  /** What waits for the connection to be made. */
  let unsent: string | undefined;
  let isReady = false;
  let idleMs = 0;

  const parser = createResponseParser({
    onHead(head) {
      idleMs = idleTimeMs(head.headers.get("keep-alive"));
      reader?.onHead(head);
    },
    onChunk: (chunk) => reader?.onChunk(chunk),
    onEnd(isReusable) {
      const done = reader;
      reader = undefined;
      if (done === undefined || !isReusable) socket.destroy();
      else {
        if (idleMs > 0) socket.setTimeout(idleMs);
        events.onIdle();
      }
      done?.onEnd();
    },
  });

  /** Also ends an idle connection: it is out of reach at once, before its socket says that it closed. */
  function fail(code: string, kind: FailureKind): void {
    const failed = reader;
    reader = undefined;
    socket.destroy();
    events.onClose();
    failed?.onFailure(code, isReady ? kind : "unsent");
  }

  function ready(): void {
    clearTimeout(timer);
    isReady = true;
    // A peer that vanished without a word is noticed while the connection lies idle, not by the next call.
    socket.setKeepAlive(true, keepAliveMs);
    if (unsent !== undefined) socket.write(unsent);
    unsent = undefined;
  }

  const timer = setTimeout(() => fail("CONNECT_TIMEOUT", "unsent"), connectTimeoutMs);
  socket.once("encrypted" in socket ? "secureConnect" : "connect", ready);
  socket.on("data", (chunk: Buffer) => {
    // An answer to nothing: whatever the server means by it, the next request must not meet it.
    if (reader === undefined) return fail("unasked", "invalid");
    try {
      parser.push(chunk);
    } catch (error) {
      if (!(error instanceof ResponseError)) throw error;
      fail(error.message, "invalid");
    }
  });
  socket.on("end", () => {
    if (reader === undefined || !parser.finish()) fail("closed", "lost");
  });
  socket.on("error", (error) => fail(errorCode(error), "lost"));
  socket.on("timeout", () => {
    if (reader === undefined) fail("idle", "lost");
  });
  socket.on("close", () => {
    clearTimeout(timer);
    fail("closed", "lost");
  });

  return {
    send(text, next) {
      reader = next;
      if (idleMs > 0) socket.setTimeout(0);
      if (isReady) socket.write(text);
      else unsent = text;
    },
    abandon(one) {
      if (reader !== one) return;
      reader = undefined;
      socket.destroy();
    },
    close: () => socket.destroy(),
  };
}

/** From `Keep-Alive: timeout=5`: how long the connection may lie idle; 0 = as long as it stays open. */
function idleTimeMs(header: string | undefined): number {
  const seconds = header === undefined ? null : /(?:^|[ ,])timeout=([0-9]{1,6})/.exec(header);
  return seconds === null ? 0 : Math.max(1, Number(seconds[1]) * 1_000 - idleMarginMs);
}

const fieldName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const fieldValue = /^[\t\x20-\x7e]*$/;

/**
 * Header lines of what is not among `others`, by lower-case names; undefined where a name or value is none: a line
 * break in it would be another header.
 */
export function headerLines(
  headers: Readonly<Record<string, string>>,
  others: Readonly<Record<string, string>> = {},
): string | undefined {
  let lines = "";
  for (const name in headers) {
    if (Object.hasOwn(others, name)) continue;
    const value = headers[name] ?? "";
    if (!fieldName.test(name) || !fieldValue.test(value)) return undefined;
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/** Runs an exchange whose answer nobody reads; resolves when it is over, or after the time limit, which ends it. */
export function readAway(
  timeoutMs: number,
  start: (reader: AnswerReader) => (() => void) | undefined,
): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => {
      stop?.();
      resolve();
    }, timeoutMs);
    const stop = start({ onHead: ignore, onChunk: ignore, onEnd: finish, onFailure: finish });
    if (stop === undefined) finish();
  });
}

function ignore(): void {}
