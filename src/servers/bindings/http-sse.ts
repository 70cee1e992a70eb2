/**
 * The HTTP+SSE binding of revision 2024-11-05, client side: one event stream brings every message of the server, and
 * its first event names where ours are posted. The address must be of the stream's own origin.
 */

import type { IncomingMessage } from "node:http";
import type { Fault } from "../../errors/fault.ts";
import type { CancelSignal } from "../../lib/cancellation.ts";
import { createEventParser } from "../../protocol/event-stream.ts";
import { errorOf, invalidAnswer, timedOut, unreachable } from "../faults.ts";
import type { ServerSpec } from "../spec.ts";
import type { Channel, ChannelEvents } from "../wire.ts";
import { type HttpPool, operatorHeaders, pushChunk } from "./http.ts";

export interface HttpSseOptions {
  readonly spec: ServerSpec;
  readonly headers: Readonly<Record<string, string>>;
  readonly pool: HttpPool;
}

/** Opens the stream and waits for its `endpoint` event. Rejects `upstream-*`. */
export function openHttpSseChannel(
  options: HttpSseOptions,
  events: ChannelEvents,
  signal: CancelSignal,
): Promise<Channel> {
  const { spec, pool } = options;
  const server = spec.name;
  const headers = { ...operatorHeaders(options.headers), "accept-encoding": "identity" };
  return new Promise((resolve, reject) => {
    let isOpen = false;
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
    };
    const fail = (fault: Fault) => {
      settle();
      stop();
      if (isOpen) events.onClose(fault);
      else reject(errorOf(fault));
    };
    const takeEvent = (type: string, text: string) => {
      if (isOpen && type === "message") events.onText(text);
      if (isOpen || type !== "endpoint") return;
      const path = endpointPath(text, pool.url);
      if (path === undefined) {
        fail(invalidAnswer(server, "endpoint-elsewhere"));
        return;
      }
      isOpen = true;
      settle();
      resolve({
        send: (message, more) => post(options, path, { ...more, ...headers }, message),
        async close() {
          stop();
        },
      });
    };
    const stop = pool.start(
      "GET",
      pool.url.pathname + pool.url.search,
      { ...headers, accept: "text/event-stream" },
      "",
      {
        onResponse: (response) => readStream(response, spec, takeEvent, fail),
        onFailure: (code) => fail(unreachable(server, code)),
      },
    );
    const timer = setTimeout(
      () => fail(timedOut(server, spec.connectTimeoutMs)),
      spec.connectTimeoutMs,
    );
    const giveUp = () => fail(unreachable(server, "closed-by-gateway"));
    signal.addEventListener("abort", giveUp, { once: true });
  });
}

function readStream(
  response: IncomingMessage,
  spec: ServerSpec,
  takeEvent: (type: string, text: string) => void,
  fail: (fault: Fault) => void,
): void {
  const isStream = response.headers["content-type"]?.startsWith("text/event-stream") === true;
  if (response.statusCode !== 200 || !isStream) {
    response.on("error", () => {});
    fail(invalidAnswer(spec.name, `status-${response.statusCode}`));
    return;
  }
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const parser = createEventParser({
    lineBytesMax: spec.responseBytesMax,
    onEvent: (event) => takeEvent(event.type, event.text),
  });
  response.on("data", (chunk: Buffer) => {
    const fault = pushChunk(parser, decoder, chunk, spec);
    if (fault !== undefined) fail(fault);
  });
  response.on("error", (error) => fail(unreachable(spec.name, error.name)));
  response.on("close", () => fail(unreachable(spec.name, "stream-closed")));
}

/** Posts one message; a refusal means that the server did not take it. */
function post(
  { spec, pool }: HttpSseOptions,
  path: string,
  headers: Readonly<Record<string, string>>,
  message: string,
): Promise<Fault | undefined> {
  return new Promise((resolve) => {
    const finish = (fault: Fault | undefined) => {
      clearTimeout(timer);
      resolve(fault);
    };
    const bodyHeaders = {
      ...headers,
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(message)),
    };
    const stop = pool.start("POST", path, bodyHeaders, message, {
      onResponse(response) {
        const status = response.statusCode ?? 0;
        response.on("error", () => {});
        response.resume();
        const isTaken = status >= 200 && status < 300;
        finish(isTaken ? undefined : invalidAnswer(spec.name, `status-${status}`));
      },
      // After the request may have left, only the stream can tell how it ended.
      onFailure: (code, mayHaveRun) =>
        finish(mayHaveRun ? undefined : unreachable(spec.name, code)),
    });
    const timer = setTimeout(() => {
      stop();
      finish(undefined);
    }, spec.callTimeoutMs);
  });
}

function endpointPath(text: string, base: URL): string | undefined {
  const url = URL.parse(text.trim(), base.href);
  if (url === null || url.origin !== base.origin) return undefined;
  return url.pathname + url.search;
}
