/**
 * One call over HTTP: answered as JSON while it is short and silent, as an event stream from the first relayed
 * message on, or once it has taken longer than `sseAfterMs`, because only a stream can be kept alive. What becomes of
 * a stream whose connection is lost is the stream's own affair; a JSON answer whose connection is lost is gone.
 */
import type { Arrival } from "./arrival.ts";
import type { RelayText, Spoken } from "./conversation.ts";
import { emptyResponse, jsonResponse, streamResponse } from "./http-response.ts";

/** Where the messages of one call go, once it is answered as an event stream. */
export interface CallStream {
  readonly body: ReadableStream<Uint8Array>;
  /** Says nothing, so that the headers leave. */
  touch(): void;
  send(text: string): void;
  end(): void;
}

export interface HttpCall {
  readonly arrival: Arrival;
  /** False where the caller reads JSON only: what would be relayed is dropped. */
  readonly canStream: boolean;
  /** True where the caller reads event streams only. */
  readonly streamOnly?: boolean;
  /** Called at most once, when the answer becomes an event stream. */
  readonly openStream: (arrival: Arrival) => CallStream;
  /** Called once the call has ended, and before its answer is given. */
  readonly onEnd?: () => void;
  /** Runs the call; never rejects. A list is the answer to a batch. */
  readonly work: (relay: RelayText) => Promise<Spoken | readonly Spoken[]>;
}

export function answerCall(call: HttpCall, sseAfterMs: number): Promise<Response> {
  const { arrival, canStream, work } = call;
  return new Promise((resolve, reject) => {
    let stream: CallStream | undefined;
    const commit = () => {
      arrival.keepOpen();
      if (stream !== undefined || !canStream) return;
      stream = call.openStream(arrival);
      const { requestId } = arrival.caller;
      const more: Record<string, string> =
        requestId === undefined ? {} : { "x-request-id": requestId };
      resolve(streamResponse(stream.body, more));
    };
    // Headers leave with the first bytes of a stream: a comment tells the agent that we are at work.
    const timer = setTimeout(() => {
      commit();
      stream?.touch();
    }, sseAfterMs);
    const relay = (text: string) => {
      commit();
      stream?.send(text);
    };
    if (call.streamOnly) commit();
    work(relay).then((spoken) => {
      clearTimeout(timer);
      call.onEnd?.();
      if (stream === undefined) resolve(toResponse(spoken, arrival));
      else endStream(stream, spoken);
    }, reject);
  });
}

export function toResponse(spoken: Spoken | readonly Spoken[], arrival: Arrival): Response {
  if (isBatch(spoken)) {
    const texts = answersOf(spoken);
    if (texts.length === 0) return emptyResponse(202);
    return jsonResponse(`[${texts.join(",")}]`, 200, undefined, arrival.metadataUrl);
  }
  switch (spoken.kind) {
    case "answer":
      return jsonResponse(spoken.text, spoken.status, spoken.reply, arrival.metadataUrl);
    case "accepted":
    case "cancelled":
      return emptyResponse(202);
    default:
      return spoken satisfies never;
  }
}

function endStream(stream: CallStream, spoken: Spoken | readonly Spoken[]): void {
  const texts = answersOf(isBatch(spoken) ? spoken : [spoken]);
  for (const text of texts) stream.send(text);
  stream.end();
}

function answersOf(spoken: readonly Spoken[]): readonly string[] {
  return spoken.flatMap((one) => (one.kind === "answer" ? [one.text] : []));
}

function isBatch(spoken: Spoken | readonly Spoken[]): spoken is readonly Spoken[] {
  return Array.isArray(spoken);
}
