/**
 * How many records were added and how many of them are done with, and who waits for that. Used by `callers.ts`.
 */
export interface Progress {
  add(): void;
  finish(count: number): void;
  /** Added and not yet finished. */
  waiting(): number;
  /** Resolves when everything added so far is finished. */
  flush(): Promise<void>;
}

export function createProgress(): Progress {
  let flushes: { readonly untilAdded: number; readonly resolve: () => void }[] = [];
  let added = 0;
  let finished = 0;

  function finish(count: number): void {
    finished += count;
    flushes = flushes.filter((one) => {
      if (finished < one.untilAdded) return true;
      one.resolve();
      return false;
    });
  }

  function flush(): Promise<void> {
    if (finished >= added) return Promise.resolve();
    return new Promise((resolve) => flushes.push({ untilAdded: added, resolve }));
  }

  return {
    add: () => {
      added += 1;
    },
    finish,
    waiting: () => added - finished,
    flush,
  };
}
