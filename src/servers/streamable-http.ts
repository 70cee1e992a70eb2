/**
 * The Streamable HTTP binding, client side, for both eras: one POST a message, answered by JSON or by an event
 * stream read event by event. Holds the session id a legacy server handed out, and knows nothing else of eras.
 */
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
import { operatorHeaders, pushChunk } from "./http.ts";
import { type AnswerReader, type HttpClient, headerLines, readAway } from "./http-client.ts";
import type { ResponseHead } from "./http-response-parser.ts";
import { mediaType, retryAfterMs } from "./response-headers.ts";
import { answerServerRequest } from "./server-requests.ts";
import type { ServerSpec } from "./spec.ts";
import type { Wire, WireAnswer, WireEvents, WireRequest } from "./wire.ts";

export interface StreamableHttpOptions {
  readonly spec: ServerSpec;
  readonly headers: Readonly<Record<string, string>>;
  readonly http: HttpClient;
  readonly scanLimits: ScanLimits;
  readonly events: WireEvents;
  readonly countStray: () => void;
}

/** How long a stream may stay open after its answer before its connection is given up. */
const lingerMs = 1_000;
const sessionIdCharsMax = 1_024;
const visibleAscii = /^[\x21-\x7e]+$/;

export function openStreamableHttp(options: StreamableHttpOptions): Wire {
  const { spec, http, scanLimits, events, countStray } = options;
  const server = spec.name;
  const fixedHeaders: Readonly<Record<string, string>> = {
    ...operatorHeaders(options.headers),
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "accept-encoding": "identity",
  };
  const fixedLines = headerLines(fixedHeaders);
  let lastId = 0;
  let sessionId: string | undefined;

  /** Starts a POST; undefined where a header cannot be written as one. */
  function start(text: string, headers: WireRequest["headers"], reader: AnswerReader) {
    const own = headerLines(headers, fixedHeaders);
    if (own === undefined || fixedLines === undefined) return undefined;
    const session = sessionId === undefined ? "" : `mcp-session-id: ${sessionId}\r\n`;
    const length = `content-length: ${Buffer.byteLength(text)}\r\n`;
    return http.start("POST", fixedLines + own + session + length, text, reader);
  }

  /** Sends a message that expects no answer; whatever comes back is read away, within a time limit. */
  function post(text: string, headers: WireRequest["headers"]): Promise<void> {
    return readAway(spec.connectTimeoutMs, (reader) => start(text, headers, reader));
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
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => giveUp(timedOut(server, timeoutMs)), timeoutMs);
      signal?.addEventListener("abort", abandon, { once: true });
      const reply: Reply = {
        wireRequest,
        settle,
        end,
        isSettled: () => isSettled,
        stop: () => stop?.(),
        hadStray: false,
      };
      stop = start(text, wireRequest.headers, readerOf(reply));
      if (stop === undefined) end(unreachable(server, "header-refused"), false);
    });
  }

  function readerOf(reply: Reply): AnswerReader {
    let body: BodyReader | undefined;
    return {
      onHead(head) {
        body = readHead(head, reply);
      },
      onChunk: (chunk) => body?.onChunk(chunk),
      onEnd() {
        body?.onEnd();
        reply.end(connectionLost(server, "closed"), true);
      },
      onFailure(code, kind) {
        body?.onFailure?.();
        if (kind === "unsent") reply.end(unreachable(server, code), false);
        else if (kind === "lost") reply.end(connectionLost(server, code), true);
        else reply.end(invalidAnswer(server, code), true);
      },
    };
  }

  function readHead(head: ResponseHead, reply: Reply): BodyReader | undefined {
    const { status, headers } = head;
    const encoding = headers.get("content-encoding");
    const type = mediaType(headers.get("content-type"));
    if (reply.wireRequest.method === "initialize") keepSession(headers.get("mcp-session-id"));
    if (status >= 300 && status < 400) refuse(head, reply, "redirect-refused");
    else if (encoding !== undefined && encoding !== "identity") {
      refuse(head, reply, "content-encoding");
    } else if (type === "text/event-stream" && status === 200) return readEvents(reply);
    else if (type === "application/json") return readJson(head, reply);
    else refuse(head, reply, `status-${status}`);
    return undefined;
  }

  /** A client error says that the request was not carried out; every other status leaves that open. */
  function refuse({ status, headers }: ResponseHead, reply: Reply, reason: string): void {
    const waitMs = retryAfterMs(headers.get("retry-after"));
    reply.end(invalidAnswer(server, reason, waitMs), status < 400 || status >= 500, status);
  }

  function readJson(head: ResponseHead, reply: Reply): BodyReader {
    const { status } = head;
    const chunks: Buffer[] = [];
    let bytes = 0;
    return {
      onChunk(chunk) {
        bytes += chunk.length;
        if (bytes <= spec.responseBytesMax) chunks.push(chunk);
        else reply.end(oversizedAnswer(server, spec.responseBytesMax), true, status);
      },
      onEnd() {
        const first = chunks[0];
        const whole = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
        const text = decodeUtf8(whole);
        const message = text === undefined ? undefined : parseMessage(text, scanLimits);
        if (message?.kind === "response" && message.idText === String(reply.wireRequest.id)) {
          reply.settle(toAnswer(server, message, status));
          return;
        }
        if (status === 200) countStray();
        refuse(head, reply, status === 200 ? misfit(message) : `status-${status}`);
      },
    };
  }

  /** After the answer the server should end the stream; one that does not loses its connection. */
  function readEvents(reply: Reply): BodyReader {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const parser = createEventParser({
      lineBytesMax: spec.responseBytesMax,
      onEvent: (event) => takeEvent(event.text, reply),
    });
    let lingering: ReturnType<typeof setTimeout> | undefined;
    return {
      onChunk(chunk) {
        if (lingering !== undefined) return;
        const fault = pushChunk(parser, decoder, chunk, spec);
        if (fault !== undefined) {
          reply.end(fault, true, 200);
          reply.stop();
        } else if (reply.isSettled()) lingering = setTimeout(reply.stop, lingerMs);
      },
      onEnd() {
        clearTimeout(lingering);
        // Nothing but answers to what was never asked: the server did answer, only not usably.
        if (reply.hadStray) reply.end(invalidAnswer(server, "unknown-id"), true, 200);
      },
      onFailure: () => clearTimeout(lingering),
    };
  }

  /** The first final answer wins; what follows it, and answers to anything else, are dropped and counted. */
  function takeEvent(text: string, reply: Reply): void {
    if (text === "") return;
    if (reply.isSettled()) {
      countStray();
      return;
    }
    const message = parseMessage(text, scanLimits);
    switch (message.kind) {
      case "response":
        if (message.idText === String(reply.wireRequest.id)) {
          reply.settle(toAnswer(server, message, 200));
          break;
        }
        countStray();
        reply.hadStray = true;
        break;
      case "notification":
        takeNotification(message, reply.wireRequest, events);
        break;
      case "request":
        void post(answerServerRequest(message), reply.wireRequest.headers);
        break;
      case "malformed":
        countStray();
        reply.end(invalidAnswer(server, "malformed-message"), true, 200);
        break;
    }
  }

  function keepSession(value: string | undefined): void {
    if (value === undefined || value.length > sessionIdCharsMax) return;
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
    const lines = headerLines({ ...operatorHeaders(options.headers), "mcp-session-id": sessionId });
    sessionId = undefined;
    if (lines === undefined) return Promise.resolve();
    return readAway(lingerMs, (reader) => http.start("DELETE", lines, "", reader));
  }
}

interface BodyReader {
  onChunk(chunk: Buffer): void;
  onEnd(): void;
  onFailure?(): void;
}

interface Reply {
  readonly wireRequest: WireRequest;
  readonly settle: (answer: WireAnswer) => void;
  readonly end: (fault: Fault, mayHaveRun: boolean, status?: number) => void;
  readonly isSettled: () => boolean;
  readonly stop: () => void;
  /** An answer to something never asked came on its stream. */
  hadStray: boolean;
}

function takeNotification(
  message: Parameters<WireRequest["onNotification"]>[0],
  wireRequest: WireRequest,
  events: WireEvents,
): void {
  const isOfCall =
    wireRequest.timeoutMs === undefined ||
    message.method === "notifications/progress" ||
    message.method === "notifications/message";
  if (isOfCall) wireRequest.onNotification(message);
  else events.onNotification(message);
}

function misfit(message: AnyMessage | undefined): string {
  if (message === undefined) return "not-utf8";
  return message.kind === "response" ? "unknown-id" : "malformed-message";
}
