/**
 * What a sink is: a place lines are delivered to, one batch at a time. `feed.ts` decides what and when; each kind is in
 * a file of its own. On the sinks' thread, where one may wait as long as it likes and holds up nobody but itself.
 */

/** One record, as sinks see it. */
export interface SinkLine {
  /** The record's place in the log; of a gap, where it begins. */
  readonly seq: number;
  /** One JSON object without a line break, ASCII control characters or direction marks. */
  readonly text: string;
  /** The same without what may make it long. */
  readonly short: string;
  /** When it happened, ms. */
  readonly timeMs: number;
  readonly level: SinkLevel;
  readonly eventType: string;
}

export type SinkLevel = "info" | "warn" | "error";

export interface Sink {
  /** Whether a resolved `write` means that the receiver said it has the lines. */
  readonly isAcknowledged: boolean;
  /** Resolves once the receiver has all of them; rejects where that is not known, and they are delivered again. */
  write(lines: readonly SinkLine[]): Promise<void>;
  /** Resolves once what was written outlives a power loss, as far as this kind can tell. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** The receiver will never take these lines, however often they are sent. */
export class SinkRefusal extends Error {}

/** The receiver asked to be left alone for a while. */
export class SinkBusy extends Error {
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}
