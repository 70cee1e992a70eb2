/**
 * How much is open at once: requests, streams and sockets, all together and from one source (an IPv6 /64 is one), and
 * whether new work is still taken. Draining waits here for what is in flight.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import { sourceOf } from "../lib/source-address.ts";

export interface Admission {
  /** Takes a place, or says why there is none. Each place taken is given back once, by `leave`. */
  enter(address: string): Fault | undefined;
  leave(address: string): void;
  /** A call began or ended; drain waits for these. */
  callStarted(): void;
  callEnded(): void;
  isDraining(): boolean;
  /** Refuses new work from now on; resolves when no call is in flight. */
  drain(): Promise<void>;
  readonly open: () => number;
  readonly calls: () => number;
}

const retryAfterMs = 1_000;
export const drainingFault = createFault("draining", "Shutting down: connect again", {
  retryAfterMs,
});

export function createAdmission(limits: {
  readonly connectionsMax: number;
  readonly connectionsPerPeerMax: number;
}): Admission {
  const bySource = new Map<string, number>();
  let open = 0;
  let calls = 0;
  let idle: PromiseWithResolvers<void> | undefined;

  return {
    enter(address) {
      if (idle !== undefined) return drainingFault;
      if (open >= limits.connectionsMax) {
        const message = `Overloaded: at most ${limits.connectionsMax} open connections`;
        return createFault("overloaded", message, { retryAfterMs });
      }
      const source = sourceOf(address);
      const own = bySource.get(source) ?? 0;
      if (own >= limits.connectionsPerPeerMax) {
        const message = `Too many open connections: at most ${limits.connectionsPerPeerMax} from one address`;
        return createFault("too-many-in-flight", message, { retryAfterMs });
      }
      open += 1;
      bySource.set(source, own + 1);
      return undefined;
    },
    leave(address) {
      open -= 1;
      const source = sourceOf(address);
      const own = (bySource.get(source) ?? 1) - 1;
      if (own === 0) bySource.delete(source);
      else bySource.set(source, own);
    },
    callStarted() {
      calls += 1;
    },
    callEnded() {
      calls -= 1;
      if (calls === 0) idle?.resolve();
    },
    isDraining: () => idle !== undefined,
    drain() {
      idle ??= Promise.withResolvers<void>();
      if (calls === 0) idle.resolve();
      return idle.promise;
    },
    open: () => open,
    calls: () => calls,
  };
}
