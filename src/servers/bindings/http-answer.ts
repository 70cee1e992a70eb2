/**
 * Reads what a Streamable HTTP server answers one POST with: one JSON message, or an event stream that ends with the
 * answer. Settles the reply; a stream that broke before its answer is handed back with the place where it did.
 * `streamable-http.ts` makes the request and owns its limits.
 */
import type { Fault } from "../../errors/fault.ts";
import { createEventParser } from "../../protocol/event-stream.ts";
import type { McpNotification } from "../../protocol/messages.ts";
import { type AnyMessage, decodeUtf8, parseMessage } from "../../protocol/parse-message.ts";
import type { ScanLimits } from "../../protocol/scan.ts";
import { toAnswer } from "../answer.ts";
import { connectionLost, invalidAnswer, oversizedAnswer, unreachable } from "../faults.ts";
import { progressId } from "../relayed.ts";
import type { ServerSpec } from "../spec.ts";
import type { WireAnswer, WireEvents, WireRequest } from "../wire.ts";
import { pushChunk } from "./http.ts";
import type { AnswerReader } from "./http-client.ts";
import type { ResponseHead } from "./http-response-parser.ts";
import { mediaType, retryAfterMs } from "./response-headers.ts";
import type { StreamPosition } from "./server-stream.ts";

export interface AnswerOptions {
  readonly spec: ServerSpec;
  readonly scanLimits: ScanLimits;
  readonly events: WireEvents;
  readonly countStray: () => void;
}

/** One request's place for its answer. */
export interface Reply {
  readonly wireRequest: WireRequest;
  readonly settle: (answer: WireAnswer) => void;
  /** Settles with a fault and ends the exchange. */
  readonly end: (fault: Fault, mayHaveRun: boolean, status?: number) => void;
  readonly isSettled: () => boolean;
  readonly stop: () => void;
  /** Goes on reading elsewhere a stream that broke here; false where that cannot be. */
  readonly resume: (position: StreamPosition) => boolean;
  readonly onHead: (head: ResponseHead) => void;
  /** An answer to something never asked came on its stream. */
  hadStray: boolean;
}

export interface AnswerParts {
  readerOf(reply: Reply): AnswerReader;
  /** Takes one message of a call's stream. */
  takeMessage(text: string, reply: Reply): void;
}

interface BodyReader {
  onChunk(chunk: Buffer): void;
  onEnd(): void;
  onFailure?(): void;
  /** Where the stream can be taken up again; undefined for a body that cannot. */
  readonly position?: StreamPosition;
}

/** How long a stream may stay open after its answer before its connection is given up. */
const lingerMs = 1_000;

export function createAnswerParts(options: AnswerOptions): AnswerParts {
  const { spec, scanLimits, events, countStray } = options;
  const server = spec.name;

  function readerOf(reply: Reply): AnswerReader {
    let body: BodyReader | undefined;
    const lost = (reason: string) => {
      if (reply.isSettled()) return;
      const position = body?.position;
      const isResumed = position?.lastEventId !== undefined && reply.resume(position);
      if (!isResumed) reply.end(connectionLost(server, reason), true);
    };
    return {
      onHead(head) {
        reply.onHead(head);
        body = readHead(head, reply);
      },
      onChunk: (chunk) => body?.onChunk(chunk),
      onEnd() {
        body?.onEnd();
        lost("closed");
      },
      onFailure(code, kind) {
        body?.onFailure?.();
        if (kind === "unsent") reply.end(unreachable(server, code), false);
        else if (kind === "lost") lost(code);
        else reply.end(invalidAnswer(server, code), true);
      },
    };
  }

  function readHead(head: ResponseHead, reply: Reply): BodyReader | undefined {
    const { status, headers } = head;
    const encoding = headers.get("content-encoding");
    const type = mediaType(headers.get("content-type"));
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
        const { id, resultTypes } = reply.wireRequest;
        if (message?.kind === "response" && message.idText === String(id)) {
          reply.settle(toAnswer(server, message, status, resultTypes));
          return;
        }
        if (status === 200) countStray();
        refuse(head, reply, status === 200 ? misfit(message) : `status-${status}`);
      },
    };
  }

  /** After the answer the server should end the stream; one that does not loses its connection. */
  function readEvents(reply: Reply): BodyReader {
    const position: StreamPosition = { lastEventId: undefined, retryMs: undefined };
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const parser = createEventParser({
      lineBytesMax: spec.responseBytesMax,
      onEvent({ id, text }) {
        position.lastEventId = id;
        if (text !== "") takeMessage(text, reply);
      },
      onRetry(retryMs) {
        position.retryMs = retryMs;
      },
    });
    let lingering: ReturnType<typeof setTimeout> | undefined;
    return {
      position,
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
  function takeMessage(text: string, reply: Reply): void {
    if (reply.isSettled()) {
      countStray();
      return;
    }
    const { wireRequest } = reply;
    const message = parseMessage(text, scanLimits);
    switch (message.kind) {
      case "response":
        if (message.idText === String(wireRequest.id)) {
          reply.settle(toAnswer(server, message, 200, wireRequest.resultTypes));
          break;
        }
        countStray();
        reply.hadStray = true;
        break;
      case "notification":
        takeNotification(message, wireRequest);
        break;
      case "request":
        events.onRequest(message, wireRequest.id);
        break;
      case "malformed":
        countStray();
        reply.end(invalidAnswer(server, "malformed-message"), true, 200);
        break;
    }
  }

  function takeNotification(message: McpNotification, wireRequest: WireRequest): void {
    const isProgress = message.method === "notifications/progress";
    const isOfCall =
      wireRequest.isListen === true || isProgress || message.method === "notifications/message";
    // A token that is not this call's is nobody's here (PR-20).
    if (isProgress && progressId(message) !== wireRequest.id) countStray();
    else if (isOfCall) wireRequest.onNotification(message);
    else events.onNotification(message);
  }

  return { readerOf, takeMessage };
}

function misfit(message: AnyMessage | undefined): string {
  if (message === undefined) return "not-utf8";
  return message.kind === "response" ? "unknown-id" : "malformed-message";
}
