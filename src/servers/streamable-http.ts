/**
 * The Streamable HTTP binding, client side, for both eras: one POST a message, answered by JSON or by an event
 * stream read event by event. Holds the session id a legacy server handed out, and knows nothing else of eras.
 */
import type { IncomingMessage } from "node:http";
import type { Fault } from "../errors/fault.ts";
import { createEventParser } from "../protocol/event-stream.ts";
import { type AnyMessage, decodeUtf8, parseMessage } from "../protocol/parse-message.ts";
import type { ScanLimits } from "../protocol/scan.ts";
import { toAnswer } from "./answer.ts";
import {
  cancelled,
  connectionLost,
  failed,
  invalidAnswer,
  oversizedAnswer,
  timedOut,
  unreachable,
} from "./faults.ts";
import { type HttpPool, operatorHeaders, pushChunk } from "./http.ts";
import { answerServerRequest } from "./server-requests.ts";
import type { ServerSpec } from "./spec.ts";
import type { Wire, WireAnswer, WireEvents, WireRequest } from "./wire.ts";

export interface StreamableHttpOptions {
  readonly spec: ServerSpec;
  readonly headers: Readonly<Record<string, string>>;
  readonly pool: HttpPool;
  readonly scanLimits: ScanLimits;
  readonly events: WireEvents;
  readonly countStray: () => void;
}

/** How long a stream may stay open after its answer before its connection is given up. */
const lingerMs = 1_000;
const sessionIdCharsMax = 1_024;
const visibleAscii = /^[\x21-\x7e]+$/;

export function openStreamableHttp(options: StreamableHttpOptions): Wire {
  const { spec, pool, scanLimits, events, countStray } = options;
  const server = spec.name;
  const path = pool.url.pathname + pool.url.search;
  const fixedHeaders = {
    ...operatorHeaders(options.headers),
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "accept-encoding": "identity",
  };
  let lastId = 0;
  let sessionId: string | undefined;

  function headersFor(headers: Readonly<Record<string, string>>, body: string) {
    const all: Record<string, string> = { ...headers, ...fixedHeaders };
    all["content-length"] = String(Buffer.byteLength(body));
    if (sessionId !== undefined) all["mcp-session-id"] = sessionId;
    return all;
  }

  /** Sends a message that expects no answer; whatever comes back is read away, within a time limit. */
  function post(text: string, headers: Readonly<Record<string, string>>): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        resolve();
      };
      const stop = pool.start("POST", path, headersFor(headers, text), text, {
        onResponse: (response) => {
          response.on("end", finish);
          response.on("close", finish);
          response.on("error", finish);
          response.resume();
        },
        onFailure: finish,
      });
      const timer = setTimeout(() => {
        stop();
        resolve();
      }, spec.connectTimeoutMs);
    });
  }

  function request(wireRequest: WireRequest): Promise<WireAnswer> {
    if (wireRequest.signal?.aborted) return Promise.resolve(failed(cancelled, false));
    return new Promise((resolve) => {
      const { signal, timeoutMs, text } = wireRequest;
      let isSettled = false;
      let stop: (() => void) | undefined;
      const settle = (answer: WireAnswer) => {
        if (isSettled) return;
        isSettled = true;
        clearTimeout(timer);
        signal?.removeEventListener("abort", abandon);
        resolve(answer);
      };
      const end = (fault: Fault, mayHaveRun: boolean, status?: number) => {
        if (isSettled) return;
        settle(failed(fault, mayHaveRun, status));
        stop?.();
      };
      const giveUp = (fault: Fault) => {
        if (!isSettled && wireRequest.cancellation !== undefined) {
          void post(wireRequest.cancellation, wireRequest.headers);
        }
        end(fault, true);
      };
      const abandon = () => giveUp(cancelled);
      const timer = setTimeout(() => giveUp(timedOut(server, timeoutMs)), timeoutMs);
      signal?.addEventListener("abort", abandon, { once: true });
      const reply: Reply = {
        wireRequest,
        settle,
        end,
        isSettled: () => isSettled,
        stop: () => stop?.(),
      };
      try {
        stop = pool.start("POST", path, headersFor(wireRequest.headers, text), text, {
          onResponse: (response) => readResponse(response, reply),
          onFailure: (code, mayHaveRun) =>
            end(mayHaveRun ? connectionLost(server, code) : unreachable(server, code), mayHaveRun),
        });
      } catch {
        // node:http throws for a header value with a line break in it; nothing was sent.
        end(unreachable(server, "header-refused"), false);
      }
    });
  }

  function readResponse(response: IncomingMessage, reply: Reply): void {
    const status = response.statusCode ?? 0;
    response.on("error", (error) => lose(reply, error.name));
    response.on("close", () => lose(reply, "closed"));
    const { headers } = response;
    const encoding = headers["content-encoding"];
    const type = mediaType(headers["content-type"]);
    if (reply.wireRequest.method === "initialize") keepSession(headers["mcp-session-id"]);
    if (status >= 300 && status < 400) refuse(response, reply, "redirect-refused");
    else if (encoding !== undefined && encoding !== "identity") {
      refuse(response, reply, "content-encoding");
    } else if (type === "text/event-stream" && status === 200) readEvents(response, reply);
    else if (type === "application/json") readJson(response, status, reply);
    else refuse(response, reply, `status-${status}`);
  }

  /** A client error says that the request was not carried out; every other status leaves that open. */
  function refuse(response: IncomingMessage, reply: Reply, reason: string): void {
    const status = response.statusCode ?? 0;
    const waitMs = retryAfterMs(response.headers["retry-after"]);
    reply.end(invalidAnswer(server, reason, waitMs), status < 400 || status >= 500, status);
  }

  function readJson(response: IncomingMessage, status: number, reply: Reply): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= spec.responseBytesMax) chunks.push(chunk);
      else reply.end(oversizedAnswer(server, spec.responseBytesMax), true, status);
    });
    response.on("end", () => {
      const first = chunks[0];
      const whole = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
      const text = decodeUtf8(whole);
      const message = text === undefined ? undefined : parseMessage(text, scanLimits);
      if (message?.kind === "response" && message.idText === String(reply.wireRequest.id)) {
        reply.settle(toAnswer(server, message, status));
        return;
      }
      if (status === 200) countStray();
      refuse(response, reply, status === 200 ? misfit(message) : `status-${status}`);
    });
  }

  function readEvents(response: IncomingMessage, reply: Reply): void {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let hadStray = false;
    const parser = createEventParser({
      lineBytesMax: spec.responseBytesMax,
      onEvent: (event) => {
        if (takeEvent(event.text, reply) === "stray") hadStray = true;
      },
    });
    response.on("data", (chunk: Buffer) => {
      const fault = pushChunk(parser, decoder, chunk, spec);
      if (fault !== undefined) {
        reply.end(fault, true, 200);
        reply.stop();
      }
      if (reply.isSettled()) linger(response, reply);
    });
    // Nothing but answers to what was never asked: the server did answer, only not usably.
    response.on("end", () => {
      if (hadStray) reply.end(invalidAnswer(server, "unknown-id"), true, 200);
    });
  }

  /** The first final answer wins; what follows it, and answers to anything else, are dropped and counted. */
  function takeEvent(text: string, reply: Reply): "stray" | undefined {
    if (text === "") return undefined;
    if (reply.isSettled()) {
      countStray();
      return "stray";
    }
    const message = parseMessage(text, scanLimits);
    switch (message.kind) {
      case "response":
        if (message.idText === String(reply.wireRequest.id)) {
          reply.settle(toAnswer(server, message, 200));
          return undefined;
        }
        countStray();
        return "stray";
      case "notification":
        takeNotification(message, reply.wireRequest, events);
        return undefined;
      case "request":
        void post(answerServerRequest(message), reply.wireRequest.headers);
        return undefined;
      case "malformed":
        countStray();
        reply.end(invalidAnswer(server, "malformed-message"), true, 200);
        return undefined;
      default:
        return message satisfies never;
    }
  }

  function lose(reply: Reply, reason: string): void {
    reply.end(connectionLost(server, reason), true);
  }

  function keepSession(value: string | string[] | undefined): void {
    if (typeof value !== "string" || value.length > sessionIdCharsMax) return;
    if (visibleAscii.test(value)) sessionId = value;
  }

  return {
    nextId: () => ++lastId,
    request,
    notify: post,
    isOpen: () => true,
    close: () => endSession(),
  };

  function endSession(): Promise<void> {
    if (sessionId === undefined) return Promise.resolve();
    const headers = { ...operatorHeaders(options.headers), "mcp-session-id": sessionId };
    sessionId = undefined;
    return new Promise((resolve) => {
      const stop = pool.start("DELETE", path, headers, "", {
        onResponse: (response) => {
          response.resume();
          finish();
        },
        onFailure: () => finish(),
      });
      const finish = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        stop();
        finish();
      }, lingerMs);
    });
  }
}

interface Reply {
  readonly wireRequest: WireRequest;
  readonly settle: (answer: WireAnswer) => void;
  readonly end: (fault: Fault, mayHaveRun: boolean, status?: number) => void;
  readonly isSettled: () => boolean;
  readonly stop: () => void;
}

function takeNotification(
  message: Parameters<WireRequest["onNotification"]>[0],
  wireRequest: WireRequest,
  events: WireEvents,
): void {
  const isOfCall =
    message.method === "notifications/progress" || message.method === "notifications/message";
  if (isOfCall) wireRequest.onNotification(message);
  else events.onNotification(message);
}

/** After the answer the server should end the stream; one that does not loses its connection. */
function linger(response: IncomingMessage, reply: Reply): void {
  response.removeAllListeners("data");
  response.resume();
  const timer = setTimeout(reply.stop, lingerMs);
  response.once("end", () => clearTimeout(timer));
  response.once("close", () => clearTimeout(timer));
}

function misfit(message: AnyMessage | undefined): string {
  if (message === undefined) return "not-utf8";
  return message.kind === "response" ? "unknown-id" : "malformed-message";
}

function mediaType(header: string | undefined): string | undefined {
  if (header === undefined || header === "application/json") return header;
  const end = header.indexOf(";");
  return (end === -1 ? header : header.slice(0, end)).trim().toLowerCase();
}

/** `Retry-After` in seconds; dates and nonsense are ignored, the fault clamps the rest. */
function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined || !/^[0-9]{1,10}$/.test(header)) return undefined;
  return Number(header) * 1_000;
}
