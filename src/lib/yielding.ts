/**
 * Bun completes small writes without a turn of the event loop, so a tight write loop starves everything else.
 * Every loop that writes asks a `Yielder` before each message; it gives the loop away every 64 messages.
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
