/**
 * Who reads the streams of Streamable HTTP sessions: the POST that a stream began with, the session's GET, and the
 * GET that resumes either. Losing a reader ends nothing: what comes next is kept by `outbox.ts`. Priming events and
 * `retry` are of 2025-11-25, event ids of 2025-03-26; no other revision or binding sees them.
 */
import { randomInt } from "node:crypto";
import { createFault } from "../../errors/fault.ts";
import type { Clock } from "../../lib/clock.ts";
import { keepAliveComment, renderEvent, renderRetry } from "../../protocol/event-stream.ts";
import type { LegacyRevision } from "../../protocol/revisions.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Arrival } from "../arrival.ts";
import type { Beat } from "../beat.ts";
import type { EventChannel } from "../event-channel.ts";
import type { CallStream } from "../http-call.ts";
import { emptyResponse, faultResponse, streamResponse } from "../http-response.ts";
import type { Streams } from "../streams.ts";
import {
  createOutboxes,
  eventIdOf,
  type Outbox,
  type OutboxLimits,
  type Position,
} from "./outbox.ts";
import type { LegacySession, SessionEnd } from "./sessions.ts";

export interface SessionStreams {
  /** Gives a new session its way to be told something, whether or not somebody reads. */
  adopt(session: LegacySession): void;
  /** The stream of one POST: outlives its connection where the session's revision can resume it. */
  openCall(session: LegacySession, arrival: Arrival): CallStream;
  /** Answers the session's GET: its own stream, or the stream that `Last-Event-ID` names. */
  get(session: LegacySession, arrival: Arrival): Response;
}

const firstWithIds: LegacyRevision = "2025-03-26";
const firstWithPriming: LegacyRevision = "2025-11-25";
const tagChars = 12;
/** Agents that are cut off or sent away all at once do not come back all at once. */
const retryMsMin = 1_000;
const cutOffRetryMsMax = 2_000;
const sentAwayRetryMsMax = 5_000;

export function createSessionStreams(deps: {
  readonly limits: OutboxLimits;
  readonly clock: Clock;
  readonly beat: Beat;
  readonly streams: Streams;
  readonly metrics: Pick<Metrics, "count" | "gauge">;
}): SessionStreams {
  const { streams, metrics } = deps;
  const outboxes = createOutboxes(deps);
  deps.beat.join(outboxes.sweep);
  metrics.gauge("mcp_gateway_outbox_bytes", outboxes.bytes);

  function outboxOf(session: LegacySession): Outbox {
    session.outbox ??= outboxes.create(
      session.revision < firstWithIds ? undefined : session.publicId.slice(0, tagChars),
    );
    return session.outbox;
  }

  /** Makes this arrival the stream's reader, from `position` on. An earlier reader is taken for dead. */
  function read(session: LegacySession, position: Position, arrival: Arrival): EventChannel {
    const outbox = outboxOf(session);
    const { stream } = position;
    const channel = streams.open(arrival, () => {
      if (stream.reader !== channel) return;
      stream.reader = undefined;
      outbox.readers -= 1;
    });
    const before = stream.reader;
    if (before === undefined) outbox.readers += 1;
    stream.reader = channel;
    before?.end();
    // In one piece: a second push could overflow the queue of a reader who has not begun to read. And never nothing:
    // headers leave with the first bytes.
    const text = primingOf(session, position) + outboxes.replay(position);
    channel.push(text === "" ? keepAliveComment : text);
    if (stream.endedAtMs !== undefined) channel.end();
    return channel;
  }

  function resume(session: LegacySession, eventId: string, arrival: Arrival): Response {
    const position = outboxes.find(outboxOf(session), eventId);
    // Not 404, which tells an agent that its session is gone and makes it start a new one.
    if (position === undefined) return faultResponse(unknownEvent, arrival.metadataUrl);
    const { stream, after } = position;
    // 204 is how an event stream says "do not come back": SDK v1 asks again after an error answer, for ever if let.
    if (stream.endedAtMs !== undefined && stream.newest === after) return emptyResponse(204);
    metrics.count("mcp_gateway_streams_resumed_total");
    return toResponse(session, read(session, position, arrival));
  }

  function toResponse(session: LegacySession, channel: EventChannel): Response {
    return streamResponse(channel.stream, { "mcp-session-id": session.id });
  }

  function end(session: LegacySession, why: SessionEnd): void {
    const outbox = outboxOf(session);
    for (const { reader } of [outbox.own, ...(outbox.calls?.values() ?? [])]) {
      if (why === "draining" && outbox.tag !== undefined) {
        reader?.push(renderRetry(randomInt(retryMsMin, sentAwayRetryMsMax)));
      }
      reader?.end();
    }
    outboxes.close(outbox);
  }

  return {
    adopt(session) {
      session.tell = (text) => {
        const outbox = outboxOf(session);
        outboxes.send(outbox, outbox.own, text);
      };
      session.onEnd = (why) => end(session, why);
    },
    openCall(session, arrival) {
      const outbox = outboxOf(session);
      if (outbox.tag === undefined || outbox.isClosed) return streams.openPlain(arrival);
      const stream = outboxes.begin(outbox);
      const channel = read(session, { stream, after: 0 }, arrival);
      return {
        body: channel.stream,
        touch: () => channel.push(keepAliveComment),
        send: (text) => outboxes.send(outbox, stream, text),
        end: () => outboxes.end(outbox, stream),
      };
    },
    get(session, arrival) {
      const eventId = arrival.request.headers.get("last-event-id");
      if (eventId !== null && eventId !== "") return resume(session, eventId, arrival);
      const { own } = outboxOf(session);
      if (own.reader !== undefined) return faultResponse(alreadyOpen, arrival.metadataUrl);
      return toResponse(session, read(session, { stream: own, after: own.given }, arrival));
    },
  };
}

/** Tells the reader where it stands before there is an event, so that it can come back even then, and after how long. */
function primingOf({ revision, outbox }: LegacySession, { stream, after }: Position): string {
  if (outbox?.tag === undefined || revision < firstWithPriming) return "";
  const retryMs = randomInt(retryMsMin, cutOffRetryMsMax);
  return renderEvent({ id: eventIdOf(outbox.tag, stream, after), retryMs, text: "" });
}

const unknownEvent = createFault(
  "invalid-request",
  "Invalid request: this Last-Event-ID is not of this session, or no longer kept",
);
const alreadyOpen = createFault(
  "state-conflict",
  "Conflict: this session already has an open stream",
);
