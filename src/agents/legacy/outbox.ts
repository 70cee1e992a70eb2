/**
 * The event store of Streamable HTTP sessions: what was said on each stream, kept for a reader who comes back with
 * `Last-Event-ID`. Bounded for each stream, each session and the whole gateway, and by age; where a bound is reached
 * the oldest goes first, so a call's answer, being its last event, is the last thing lost. Who reads is decided in
 * `session-streams.ts`.
 */
import type { Clock } from "../../lib/clock.ts";
import { renderEvent } from "../../protocol/event-stream.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { EventChannel } from "../event-channel.ts";
import type { AgentsOptions } from "../options.ts";

export type OutboxLimits = Pick<
  AgentsOptions,
  | "resumeEventsMax"
  | "resumeBytesMax"
  | "resumeSessionBytesMax"
  | "resumeTotalBytesMax"
  | "resumeMs"
>;

/** One session's streams. Plain fields and no functions of its own: there is one for every idle session. */
export interface Outbox {
  /** Begins every event id of the session, so that ids of other sessions mean nothing here; undefined = no ids. */
  readonly tag: string | undefined;
  /** The stream of the session's GET: for what belongs to no request. */
  readonly own: KeptStream;
  /** The streams of POSTs that run, or ended a short while ago, by number. */
  calls: Map<number, KeptStream> | undefined;
  lastNumber: number;
  bytes: number;
  /** Readers at this moment, of all streams. */
  readers: number;
  /** The session has ended: nothing is kept any more. */
  isClosed: boolean;
}

export interface KeptStream {
  /** 0 is the session's own. */
  readonly number: number;
  /** Oldest first, without gaps; the last one has the sequence number `newest`. */
  events: KeptEvent[] | undefined;
  newest: number;
  /** Up to this sequence number a reader was given everything. */
  given: number;
  bytes: number;
  reader: EventChannel | undefined;
  /** When its last event was sent, in monotonic milliseconds; undefined = it goes on. */
  endedAtMs: number | undefined;
}

interface KeptEvent {
  readonly text: string;
  readonly atMs: number;
}

export interface Position {
  readonly stream: KeptStream;
  /** Sequence number of the last event the reader has. */
  readonly after: number;
}

export interface Outboxes {
  create(tag: string | undefined): Outbox;
  /** A stream for one POST. */
  begin(outbox: Outbox): KeptStream;
  /** Keeps one message, and gives it to the reader where there is one. */
  send(outbox: Outbox, stream: KeptStream, text: string): void;
  /** Nothing follows: ends the reader's stream, and keeps what was sent for some time. */
  end(outbox: Outbox, stream: KeptStream): void;
  /** Where an event id points to; undefined where it is none of this session's, or its stream is forgotten. */
  find(outbox: Outbox, eventId: string): Position | undefined;
  /** What is kept after a position, as one text; counts as given from now on. */
  replay(position: Position): string;
  /** Forgets everything of an ended session. */
  close(outbox: Outbox): void;
  /** Forgets what is too old. */
  sweep(): void;
  /** Bytes kept, of all sessions. */
  bytes(): number;
}

/** Counted for each stream and event beside its text, so that many small ones are bounded too. */
const overheadBytes = 128;
const eventIdPattern = /^([0-9a-f]{12})-([0-9a-z]{1,8})-([0-9a-z]{1,8})$/;

export function eventIdOf(tag: string, stream: KeptStream, sequence: number): string {
  return `${tag}-${stream.number.toString(36)}-${sequence.toString(36)}`;
}

export function createOutboxes(deps: {
  readonly limits: OutboxLimits;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "count">;
}): Outboxes {
  const { limits, clock } = deps;
  /** In the order they ended, which is the order they are forgotten in. */
  const ended = new Map<KeptStream, Outbox>();
  /** Sessions' own streams that hold something. */
  const own = new Map<KeptStream, Outbox>();
  let bytes = 0;

  function grow(outbox: Outbox, stream: KeptStream, by: number): void {
    stream.bytes += by;
    outbox.bytes += by;
    bytes += by;
  }

  function dropOldest(outbox: Outbox, stream: KeptStream): boolean {
    const event = stream.events?.shift();
    if (event === undefined) return false;
    grow(outbox, stream, -sizeOf(event));
    const sequence = stream.newest - (stream.events?.length ?? 0);
    if (sequence > stream.given) deps.metrics.count("mcp_gateway_outbox_dropped_total");
    return true;
  }

  function forget(outbox: Outbox, stream: KeptStream): void {
    grow(outbox, stream, -stream.bytes);
    stream.events = undefined;
    outbox.calls?.delete(stream.number);
    ended.delete(stream);
    own.delete(stream);
  }

  /** Forgets a stream of which a reader might still have wanted something. */
  function lose(outbox: Outbox, stream: KeptStream): void {
    const unread = Math.min(stream.newest - stream.given, stream.events?.length ?? 0);
    if (unread > 0) deps.metrics.count("mcp_gateway_outbox_dropped_total", {}, unread);
    forget(outbox, stream);
  }

  function loseEndedOf(outbox: Outbox): boolean {
    for (const stream of outbox.calls?.values() ?? []) {
      if (stream.endedAtMs === undefined) continue;
      lose(outbox, stream);
      return true;
    }
    return false;
  }

  function loseOldestEnded(): boolean {
    for (const [stream, outbox] of ended) {
      lose(outbox, stream);
      return true;
    }
    return false;
  }

  function trim(outbox: Outbox, stream: KeptStream): void {
    const { events = [] } = stream;
    // One message larger than the bound is still kept: it may be the answer.
    while (
      events.length > 1 &&
      (events.length > limits.resumeEventsMax || stream.bytes > limits.resumeBytesMax)
    ) {
      dropOldest(outbox, stream);
    }
    while (outbox.bytes > limits.resumeSessionBytesMax) {
      if (!loseEndedOf(outbox) && !dropOldest(outbox, stream)) break;
    }
    while (bytes > limits.resumeTotalBytesMax) {
      if (!loseOldestEnded() && !dropOldest(outbox, stream)) break;
    }
  }

  /** On a session's own stream, what nobody has read yet waits as long as the session lasts. */
  function dropOld(outbox: Outbox, stream: KeptStream, beforeMs: number): void {
    for (let left = stream.events?.length ?? 0; left > 0; left -= 1) {
      const oldest = stream.events?.[0];
      const isGiven = stream.newest - left < stream.given;
      if (oldest === undefined || !isGiven || oldest.atMs > beforeMs) return;
      dropOldest(outbox, stream);
    }
    own.delete(stream);
  }

  return {
    create(tag) {
      const stream = createStream(0);
      return {
        tag,
        own: stream,
        calls: undefined,
        lastNumber: 0,
        bytes: 0,
        readers: 0,
        isClosed: false,
      };
    },
    begin(outbox) {
      outbox.lastNumber += 1;
      const stream = createStream(outbox.lastNumber);
      outbox.calls ??= new Map();
      outbox.calls.set(stream.number, stream);
      grow(outbox, stream, overheadBytes);
      trim(outbox, stream);
      return stream;
    },
    send(outbox, stream, text) {
      if (outbox.isClosed || stream.endedAtMs !== undefined) return;
      stream.newest += 1;
      const { tag } = outbox;
      const rendered = renderEvent(
        tag === undefined ? { text } : { id: eventIdOf(tag, stream, stream.newest), text },
      );
      const event = { text: rendered, atMs: clock.monotonicMs() };
      if (stream.reader !== undefined) stream.given = stream.newest;
      stream.events ??= [];
      stream.events.push(event);
      grow(outbox, stream, sizeOf(event));
      if (stream === outbox.own) own.set(stream, outbox);
      trim(outbox, stream);
      stream.reader?.push(rendered);
    },
    end(outbox, stream) {
      if (outbox.isClosed || stream.endedAtMs !== undefined) return;
      stream.endedAtMs = clock.monotonicMs();
      ended.set(stream, outbox);
      stream.reader?.end();
    },
    find(outbox, eventId) {
      const [, tag, numberText = "", sequenceText = ""] = eventIdPattern.exec(eventId) ?? [];
      if (tag === undefined || tag !== outbox.tag) return undefined;
      const number = Number.parseInt(numberText, 36);
      const stream = number === 0 ? outbox.own : outbox.calls?.get(number);
      const after = Number.parseInt(sequenceText, 36);
      return stream === undefined || after > stream.newest ? undefined : { stream, after };
    },
    replay({ stream, after }) {
      const { events = [] } = stream;
      // What fell out of the bounds is missing here; what came later, the answer above all, is worth having.
      const missing = stream.newest - after;
      stream.given = stream.newest;
      return missing === 0
        ? ""
        : events
            .slice(-missing)
            .map((event) => event.text)
            .join("");
    },
    close(outbox) {
      outbox.isClosed = true;
      for (const stream of outbox.calls?.values() ?? []) forget(outbox, stream);
      forget(outbox, outbox.own);
    },
    sweep() {
      const beforeMs = clock.monotonicMs() - limits.resumeMs;
      for (const [stream, outbox] of ended) {
        if ((stream.endedAtMs ?? 0) > beforeMs) break;
        lose(outbox, stream);
      }
      for (const [stream, outbox] of own) dropOld(outbox, stream, beforeMs);
    },
    bytes: () => bytes,
  };
}

function createStream(number: number): KeptStream {
  return {
    number,
    events: undefined,
    newest: 0,
    given: 0,
    bytes: 0,
    reader: undefined,
    endedAtMs: undefined,
  };
}

function sizeOf(event: KeptEvent): number {
  return event.text.length + overheadBytes;
}
