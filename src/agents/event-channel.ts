/**
 * One event stream towards one reader: a bounded queue that the runtime pulls from. Nothing is handed to the socket
 * that the socket did not ask for, so a stalled reader costs at most the queue, and is cut when the queue overflows
 * or has stood still too long (TS-01, TS-02). Used for every event-stream response.
 */
import type { Clock } from "../lib/clock.ts";
import { keepAliveComment } from "../protocol/event-stream.ts";

export interface EventChannelOptions {
  readonly clock: Clock;
  readonly writeQueueBytesMax: number;
  readonly slowReaderMs: number;
  readonly keepAliveMs: number;
  /** Called once: `ended` by us, `gone` with the reader, `cut` for reading too slowly. */
  readonly onClose: (why: "ended" | "gone" | "cut") => void;
}

export interface EventChannel {
  readonly stream: ReadableStream<Uint8Array>;
  /** Queues one rendered event. */
  push(text: string): void;
  /** Closes after what is queued. */
  end(): void;
  /** Keep-alive and the slow-reader check; the beat calls it. */
  tick(): void;
}

const encoder = new TextEncoder();

export function createEventChannel(options: EventChannelOptions): EventChannel {
  const { clock } = options;
  let queue = "";
  let queuedBytes = 0;
  let waiting: ReadableStreamDefaultController<Uint8Array> | undefined;
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let wake: (() => void) | undefined;
  let isEnding = false;
  let isClosed = false;
  let movedAtMs = clock.monotonicMs();

  function close(why: "ended" | "gone" | "cut"): void {
    if (isClosed) return;
    isClosed = true;
    clear();
    if (why === "ended") controller?.close();
    // Without a reason: Bun resets the connection either way, and would print one to stderr.
    else if (why === "cut") controller?.error();
    wake?.();
    options.onClose(why);
  }

  function clear(): void {
    queue = "";
    queuedBytes = 0;
  }

  /** Gives the queue to the reader, if it has asked. */
  function deliver(): void {
    if (waiting === undefined || isClosed) return;
    if (queue !== "") {
      const bytes = encoder.encode(queue);
      clear();
      movedAtMs = clock.monotonicMs();
      waiting.enqueue(bytes);
    } else {
      if (isEnding) close("ended");
      return;
    }
    waiting = undefined;
    wake?.();
    wake = undefined;
  }

  const stream = new ReadableStream<Uint8Array>(
    {
      start(own) {
        controller = own;
      },
      pull(own) {
        waiting = own;
        const asked = new Promise<void>((resolve) => {
          wake = resolve;
        });
        deliver();
        return asked;
      },
      cancel: () => close("gone"),
    },
    { highWaterMark: 0 },
  );

  return {
    stream,
    push(text) {
      if (isClosed || isEnding) return;
      // One message larger than the whole queue is still deliverable, also behind a few small ones; a second is not.
      if (queuedBytes >= options.writeQueueBytesMax) {
        close("cut");
        return;
      }
      if (queue === "") movedAtMs = clock.monotonicMs();
      queue += text;
      deliver();
      if (queue !== "") queuedBytes += Buffer.byteLength(text);
    },
    end() {
      if (!isEnding && queue === "") movedAtMs = clock.monotonicMs();
      isEnding = true;
      deliver();
    },
    tick() {
      const stillMs = clock.monotonicMs() - movedAtMs;
      const isWaiting = queue !== "" || isEnding;
      if (isWaiting && stillMs > options.slowReaderMs) close("cut");
      else if (!isWaiting && stillMs > options.keepAliveMs) {
        queue = keepAliveComment;
        movedAtMs = clock.monotonicMs();
        deliver();
      }
    },
  };
}
