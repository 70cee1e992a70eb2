/**
 * Something to be done after a while, and how to call it off. Handed to what must also run under a clock that stands
 * still or leaps, as in the simulation of power loss.
 */
export type Later = (delayMs: number, run: () => void) => () => undefined;

export const realLater: Later = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return () => {
    clearTimeout(timer);
    return undefined;
  };
};
