/**
 * What the writer says, in as few messages as may be: each one wakes the thread of the calls. That a batch is written
 * goes with the message that it is synced, where that follows in the same turn and nobody waits for less.
 * Used by `serve.ts`.
 */
import type { FromSpool } from "./messages.ts";

export interface Packing {
  emit(message: FromSpool): void;
  /** At the end of a turn: nothing is held any longer. */
  flush(): void;
}

export function createPacking(post: (message: FromSpool) => void): Packing {
  let held: (FromSpool & { readonly kind: "written" }) | undefined;

  function emit(message: FromSpool): void {
    if (message.kind === "synced" && held !== undefined) {
      const written = held;
      held = undefined;
      post({ ...message, written });
      return;
    }
    flush();
    if (message.kind === "written" && !message.isAwaited) held = message;
    else post(message);
  }

  function flush(): void {
    if (held !== undefined) post(held);
    held = undefined;
  }

  return { emit, flush };
}
