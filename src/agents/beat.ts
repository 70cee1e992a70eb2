/**
 * One timer for everything that must be looked at now and then: keep-alives, slow readers, idle sessions, expired
 * credentials. A timer for each stream would cost more than the streams.
 */
export interface Beat {
  /** Calls `tick` about once a second until the returned function is called. */
  join(tick: () => void): () => void;
  stop(): void;
}

const beatMs = 500;

export function createBeat(): Beat {
  const members = new Set<() => void>();
  const timer = setInterval(() => {
    for (const tick of members) tick();
  }, beatMs);
  timer.unref();
  return {
    join(tick) {
      members.add(tick);
      return () => members.delete(tick);
    },
    stop: () => clearInterval(timer),
  };
}
