/**
 * Whether, and when, somebody no longer wants an outcome. Calls carry this instead of the platform's own signal: a
 * native one for each call is a fifth of what the event loop's thread spends on it (Bun 1.4), an object is nothing.
 */

/** Every `AbortSignal` is one. `abort` fires once; who comes too late sees `aborted`. */
export interface CancelSignal {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void, options?: { readonly once: true }): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** What `AbortController` is to `AbortSignal`, in one object. */
export class Cancellation implements CancelSignal {
  aborted = false;
  #listeners: Set<() => void> | undefined;

  get signal(): CancelSignal {
    return this;
  }

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) listener();
  }

  addEventListener(_type: "abort", listener: () => void): void {
    if (this.aborted) return;
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners?.delete(listener);
  }
}

/** Runs `work` with a signal that also aborts after `timeoutMs`. */
export async function withinTime<T>(
  signal: CancelSignal,
  timeoutMs: number,
  work: (signal: CancelSignal) => Promise<T>,
): Promise<T> {
  const either = new Cancellation();
  const abort = () => either.abort();
  const timer = setTimeout(abort, timeoutMs);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await work(either);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}
