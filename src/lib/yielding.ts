/**
 * Bun completes small writes without a turn of the event loop, so a tight write loop starves everything else.
 * Every loop that writes asks a `Yielder` before each message; it gives the loop away every 64 messages. Streams that
 * the runtime pulls from are the other way round: what was written last takes a turn to leave.
 */
const messagesPerTurn = 64;

/** Returns a function to await before each write; it lets pending I/O run once every 64 calls. */
export function createYielder(): () => Promise<void> | undefined {
  let written = 0;
  return () => {
    written += 1;
    if (written % messagesPerTurn !== 0) return undefined;
    return new Promise((resolve) => setImmediate(resolve));
  };
}

/** Two turns of the event loop: what was written to streams before reaches their sockets. */
export function letWritesLeave(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
