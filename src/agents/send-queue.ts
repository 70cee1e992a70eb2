/**
 * Messages on their way out of one WebSocket. Bun drops what is sent past its buffer while the socket stays open,
 * so after `send` reports backpressure nothing more is sent until `drain`; what waits is bounded, and a reader that
 * lets more wait or stands still is cut with 1013 (TW-04).
 */
import type { Clock } from "../lib/clock.ts";
import { createYielder } from "../lib/yielding.ts";

/** The part of Bun's socket that the queue needs. */
export interface OutwardSocket {
  /** Bytes sent; -1 = accepted, but no more now; 0 = dropped. */
  send(text: string): number;
}

export interface SendQueue {
  send(text: string): void;
  /** The socket takes bytes again. */
  drain(): Promise<void>;
  /** The slow-reader check; the beat calls it. */
  tick(): void;
}

/** What idle queues hold: never written to. */
const nothing: string[] = [];

/** The same for all queues: there is one for each socket, and most sockets are idle. */
export interface SendQueueOptions<S extends OutwardSocket> {
  readonly clock: Clock;
  readonly writeQueueBytesMax: number;
  readonly slowReaderMs: number;
  readonly onTooSlow: (socket: S) => void;
}

export function createSendQueue<S extends OutwardSocket>(
  socket: S,
  options: SendQueueOptions<S>,
): SendQueue {
  const { clock } = options;
  let queue = nothing;
  let queuedBytes = 0;
  let isBlocked = false;
  let isDraining = false;
  let blockedAtMs = 0;

  function cut(): void {
    queue = nothing;
    queuedBytes = 0;
    options.onTooSlow(socket);
  }

  function sendNow(text: string): void {
    const status = socket.send(text);
    if (status > 0 || text === "") return;
    if (status === 0) {
      cut();
      return;
    }
    isBlocked = true;
    blockedAtMs = clock.monotonicMs();
  }

  return {
    send(text) {
      if (!isBlocked && queue.length === 0) {
        sendNow(text);
        return;
      }
      // One message larger than the whole queue is still deliverable, also behind a few small ones; a second is not.
      if (queuedBytes >= options.writeQueueBytesMax) {
        cut();
        return;
      }
      if (queue === nothing) queue = [];
      queue.push(text);
      queuedBytes += Buffer.byteLength(text);
    },
    async drain() {
      isBlocked = false;
      if (isDraining) return;
      isDraining = true;
      const yieldNow = createYielder();
      for (let text = queue.shift(); text !== undefined; text = queue.shift()) {
        queuedBytes -= Buffer.byteLength(text);
        sendNow(text);
        if (isBlocked) break;
        await yieldNow();
      }
      isDraining = false;
    },
    tick() {
      if (isBlocked && clock.monotonicMs() - blockedAtMs > options.slowReaderMs) cut();
    },
  };
}
