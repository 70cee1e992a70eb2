/** A wait that somebody else may end early: one at a time, for loops that work, wait and are woken. */
export interface Pause {
  /** Resolves after `delayMs`, or at once when `end` is called. */
  wait(delayMs: number): Promise<void>;
  /** Ends the wait under way; nothing happens where there is none. */
  end(): void;
}

export function createPause(): Pause {
  let endWait: (() => void) | undefined;
  return {
    wait: (delayMs) =>
      new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer);
          endWait = undefined;
          resolve();
        };
        const timer = setTimeout(end, delayMs);
        endWait = end;
      }),
    end: () => endWait?.(),
  };
}
