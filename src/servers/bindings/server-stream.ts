/**
 * Follows an event stream of a legacy Streamable HTTP session by GET, over its reconnections: from the last event id
 * where its events had ids, not sooner than the server's `retry` asks. Two streams need it: the session's own, for as
 * long as the session is used, and the answer of a call whose connection ended first (revision 2025-11-25 lets a
 * server end it on purpose). Knows no message.
 */
import { randomInt } from "node:crypto";
import { createEventParser } from "../../protocol/event-stream.ts";
import { reconnectDelayMs } from "../backoff.ts";
import type { ServerSpec } from "../spec.ts";
import { pushChunk } from "./http.ts";
import type { AnswerReader } from "./http-client.ts";
import type { ResponseHead } from "./http-response-parser.ts";
import { mediaType } from "./response-headers.ts";

/** Where a stream broke off. */
export interface StreamPosition {
  lastEventId: string | undefined;
  /** Milliseconds the server asked to wait before coming back. */
  retryMs: number | undefined;
}

export interface FollowOptions {
  readonly spec: ServerSpec;
  /** Sends the GET, and returns what ends it; undefined where its headers cannot be written. */
  readonly get: (lastEventId: string | undefined, reader: AnswerReader) => (() => void) | undefined;
  readonly from: StreamPosition;
  /** Connections refused or lost in a row, without one event, before the stream is given up. */
  readonly failuresMax: number;
  readonly onText: (text: string) => void;
  /** The stream is there again without an id to go on from: what came in between is lost. */
  readonly onGap: () => void;
  /** Given up for good, with a short reason. */
  readonly onGivenUp: (reason: string) => void;
}

const reconnect = { firstMs: 500, maxMs: 30_000 };
const retryMsMax = 60_000;
/** Refusals that may pass: the old connection not yet noticed as gone, too many requests. */
const passing = new Set([409, 429]);

/** Starts at once where nothing was read before, else after the wait that is due; returns what ends it. */
export function followStream(options: FollowOptions): () => void {
  const { spec, from } = options;
  const position: StreamPosition = { ...from };
  let failures = 0;
  let fruitless = 0;
  let wasConnected = from.lastEventId !== undefined;
  let isOver = false;
  let stop: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function giveUp(reason: string): void {
    if (isOver) return;
    end();
    options.onGivenUp(reason);
  }

  function end(): void {
    isOver = true;
    clearTimeout(timer);
    stop?.();
  }

  /** A server that asks to come back at once, and then has nothing to say, is not asked in a tight loop. */
  function waitMs(): number {
    const backoffMs = reconnectDelayMs(fruitless, reconnect, randomInt(1 << 24) / (1 << 24));
    return Math.max(Math.min(position.retryMs ?? 0, retryMsMax), backoffMs);
  }

  function comeBack(): void {
    if (isOver) return;
    fruitless += 1;
    if (failures > options.failuresMax) giveUp("not-resumed");
    else timer = setTimeout(connect, waitMs());
  }

  function connect(): void {
    let body: ((chunk: Buffer) => void) | undefined;
    let isDone = false;
    const lose = () => {
      if (isDone) return;
      isDone = true;
      if (body === undefined) failures += 1;
      comeBack();
    };
    stop = options.get(position.lastEventId, {
      onHead(head) {
        if (isEventStream(head)) {
          body = readEvents();
          if (wasConnected && position.lastEventId === undefined) options.onGap();
          wasConnected = true;
          return;
        }
        refused(head.status);
        lose();
        stop?.();
      },
      onChunk: (chunk) => body?.(chunk),
      onEnd: lose,
      onFailure: lose,
    });
    if (stop === undefined) giveUp("header-refused");
  }

  function refused(status: number): void {
    if (status >= 500 || passing.has(status)) return;
    // The server no longer knows the event: the stream goes on without what was missed.
    if (
      status === 400 &&
      position.lastEventId !== undefined &&
      options.failuresMax === Number.POSITIVE_INFINITY
    )
      position.lastEventId = undefined;
    else giveUp(`status-${status}`);
  }

  function readEvents(): (chunk: Buffer) => void {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const parser = createEventParser({
      lineBytesMax: spec.responseBytesMax,
      onEvent({ id, text }) {
        if (isOver) return;
        failures = 0;
        fruitless = 0;
        position.lastEventId = id ?? position.lastEventId;
        if (text !== "") options.onText(text);
      },
      onRetry(retryMs) {
        position.retryMs = retryMs;
      },
    });
    return (chunk) => {
      const fault = isOver ? undefined : pushChunk(parser, decoder, chunk, spec);
      if (fault !== undefined) giveUp(fault.reason ?? fault.name);
    };
  }

  if (wasConnected) comeBack();
  else connect();
  return end;
}

function isEventStream({ status, headers }: ResponseHead): boolean {
  const encoding = headers.get("content-encoding") ?? "identity";
  const isStream = mediaType(headers.get("content-type")) === "text/event-stream";
  return status === 200 && isStream && encoding === "identity";
}
