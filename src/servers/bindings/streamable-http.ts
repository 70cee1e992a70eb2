/**
 * The Streamable HTTP binding, client side, for both eras: one POST a message, answered by JSON or by an event
 * stream (`http-answer.ts`); for legacy sessions also the session's own stream, and the resumption of a call's stream
 * that broke (`server-stream.ts`). Holds the session id a legacy server handed out, and knows nothing else of eras.
 */
import type { Fault } from "../../errors/fault.ts";
import { parseMessage } from "../../protocol/parse-message.ts";
import type { ScanLimits } from "../../protocol/scan.ts";
import { cancelled, connectionLost, failed, timedOut, unreachable } from "../faults.ts";
import { progressId } from "../relayed.ts";
import type { ServerSpec } from "../spec.ts";
import type { Wire, WireAnswer, WireEvents, WireRequest } from "../wire.ts";
import { operatorHeaders } from "./http.ts";
import { createAnswerParts, type Reply } from "./http-answer.ts";
import { type AnswerReader, type HttpClient, headerLines, readAway } from "./http-client.ts";
import { followStream } from "./server-stream.ts";

export interface StreamableHttpOptions {
  readonly spec: ServerSpec;
  readonly headers: Readonly<Record<string, string>>;
  readonly http: HttpClient;
  readonly scanLimits: ScanLimits;
  readonly events: WireEvents;
  readonly countStray: () => void;
}

const endTimeoutMs = 1_000;
const sessionIdCharsMax = 1_024;
const eventIdCharsMax = 1_024;
const visibleAscii = /^[\x21-\x7e]+$/;
/** Connections refused or lost in a row before a call's broken stream is given up. */
const resumeFailuresMax = 5;

export function openStreamableHttp(options: StreamableHttpOptions): Wire {
  const { spec, http, scanLimits, events, countStray } = options;
  const server = spec.name;
  const ownHeaders = { ...operatorHeaders(options.headers), "accept-encoding": "identity" };
  const fixedHeaders: Readonly<Record<string, string>> = {
    ...ownHeaders,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const fixedLines = headerLines(fixedHeaders);
  const answers = createAnswerParts(options);
  /** Requests that wait for their answer: the session's own stream may speak of them. */
  const waiting = new Map<number, WireRequest>();
  let lastId = 0;
  let sessionId: string | undefined;
  let endStream: (() => void) | undefined;
  let isRetired = false;

  /** Starts a POST; undefined where a header cannot be written as one. */
  function start(text: string, headers: WireRequest["headers"], reader: AnswerReader) {
    const own = headerLines(headers, fixedHeaders);
    if (own === undefined || fixedLines === undefined) return undefined;
    const session = sessionId === undefined ? "" : `mcp-session-id: ${sessionId}\r\n`;
    const length = `content-length: ${Buffer.byteLength(text)}\r\n`;
    return http.start("POST", fixedLines + own + session + length, text, reader);
  }

  /** Starts a GET for an event stream of the session. */
  function startGet(
    headers: WireRequest["headers"],
    lastEventId: string | undefined,
    reader: AnswerReader,
  ) {
    if (lastEventId !== undefined && lastEventId.length > eventIdCharsMax) return undefined;
    const lines = headerLines({
      ...headers,
      ...ownHeaders,
      accept: "text/event-stream",
      ...(sessionId !== undefined && { "mcp-session-id": sessionId }),
      ...(lastEventId !== undefined && { "last-event-id": lastEventId }),
    });
    return lines === undefined ? undefined : http.start("GET", lines, "", reader);
  }

  /** Sends a message that expects no answer; whatever comes back is read away, within a time limit. */
  function post(text: string, headers: WireRequest["headers"]): Promise<void> {
    return readAway(spec.connectTimeoutMs, (reader) => start(text, headers, reader));
  }

  function request(wireRequest: WireRequest): Promise<WireAnswer> {
    if (wireRequest.signal?.aborted) return Promise.resolve(failed(cancelled, false));
    return new Promise((resolve) => {
      const { id, signal, timeoutMs, text } = wireRequest;
      let isSettled = false;
      let stop: (() => void) | undefined;
      const settle = (answer: WireAnswer) => {
        if (isSettled) return;
        isSettled = true;
        clearTimeout(timer);
        signal?.removeEventListener("abort", abandon);
        waiting.delete(id);
        if (isRetired && waiting.size === 0) void endSession();
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
        resume(position) {
          if (sessionId === undefined) return false;
          const endFollowing = followStream({
            spec,
            get: (eventId, reader) => startGet(wireRequest.headers, eventId, reader),
            from: position,
            failuresMax: resumeFailuresMax,
            onText(message) {
              answers.takeMessage(message, reply);
              if (isSettled) endFollowing();
            },
            onGap: () => {},
            onGivenUp: (reason) => end(connectionLost(server, reason), true),
          });
          stop = endFollowing;
          return true;
        },
        onHead({ headers }) {
          if (wireRequest.method === "initialize") keepSession(headers.get("mcp-session-id"));
        },
        hadStray: false,
      };
      waiting.set(id, wireRequest);
      stop = start(text, wireRequest.headers, answers.readerOf(reply));
      if (stop === undefined) end(unreachable(server, "header-refused"), false);
    });
  }

  /** A message on the session's own stream: it belongs to no call, unless its progress token says so. */
  function takeUnasked(text: string): void {
    const message = parseMessage(text, scanLimits);
    if (message.kind === "request") events.onRequest(message, undefined);
    else if (message.kind !== "notification") countStray();
    else if (message.method === "notifications/progress") {
      waiting.get(progressId(message) ?? 0)?.onNotification(message);
    } else if (message.method !== "notifications/message") events.onNotification(message);
    else if (waiting.size === 1) for (const call of waiting.values()) call.onNotification(message);
  }

  function keepSession(value: string | undefined): void {
    if (value === undefined || value.length > sessionIdCharsMax) return;
    if (visibleAscii.test(value)) sessionId = value;
  }

  return {
    nextId: () => ++lastId,
    request,
    notify: post,
    respond: post,
    openStream(headers, onGap) {
      endStream ??= followStream({
        spec,
        get: (eventId, reader) => startGet(headers, eventId, reader),
        from: { lastEventId: undefined, retryMs: undefined },
        failuresMax: Number.POSITIVE_INFINITY,
        onText: takeUnasked,
        onGap,
        onGivenUp(reason) {
          // The server keeps no such stream, or no longer knows the session.
          if (reason !== "status-405") onGap();
        },
      });
    },
    retire() {
      isRetired = true;
      if (waiting.size === 0) void endSession();
    },
    isOpen: () => true,
    close: () => endSession(),
  };

  function endSession(): Promise<void> {
    endStream?.();
    if (sessionId === undefined) return Promise.resolve();
    const lines = headerLines({ ...operatorHeaders(options.headers), "mcp-session-id": sessionId });
    sessionId = undefined;
    if (lines === undefined) return Promise.resolve();
    return readAway(endTimeoutMs, (reader) => http.start("DELETE", lines, "", reader));
  }
}
