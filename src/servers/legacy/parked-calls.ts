/**
 * Keeps calls to legacy servers while their questions are with an agent (reference section 4.2.1): under an unguessable
 * id that serves once, for the principal that made the call alone, for a bounded time and in bounded number. A call
 * nobody comes back for is taken back at the server.
 */
import { randomBytes } from "node:crypto";
import { createFault, type Fault } from "../../errors/fault.ts";
import { unreachable } from "../faults.ts";
import type { LiveCall } from "./live-call.ts";

export interface ParkedCalls {
  park(call: LiveCall, principalId: string | undefined): string | Fault;
  /** The call under this state, if it is this principal's; it is no longer parked then. */
  take(state: string, principalId: string | undefined): LiveCall | undefined;
  /** How many wait, those that ended meanwhile included: their end is kept for the agent. */
  size(): number;
  close(): void;
}

/** Room for parked calls, or for tasks, shared by all servers. */
export interface ParkedRoom {
  /** Undefined where there was room; else why not. */
  enter(principalId: string): Fault | undefined;
  leave(principalId: string): void;
}

interface Parked {
  readonly call: LiveCall;
  readonly principalId: string;
  readonly timer: ReturnType<typeof setTimeout>;
}

const stateBytes = 16;
const fullRetryAfterMs = 5_000;
const parkedFull = {
  message:
    "Too many calls already wait for answers; this one was taken back and may have been carried out in part",
  reason: "parked-calls-full",
};

export function createParkedRoom(limits: {
  readonly callsMax: number;
  readonly callsPerPrincipalMax: number;
  /** What an agent is told that finds no room; by default of parked calls. */
  readonly refusal?: { readonly message: string; readonly reason: string };
}): ParkedRoom {
  const { message, reason } = limits.refusal ?? parkedFull;
  const counts = new Map<string, number>();
  let total = 0;
  return {
    enter(principalId) {
      const count = counts.get(principalId) ?? 0;
      if (total >= limits.callsMax || count >= limits.callsPerPrincipalMax) {
        const more = { retryAfterMs: fullRetryAfterMs, reason };
        return createFault("too-many-in-flight", message, more);
      }
      total += 1;
      counts.set(principalId, count + 1);
      return undefined;
    },
    leave(principalId) {
      const count = counts.get(principalId) ?? 0;
      total -= 1;
      if (count > 1) counts.set(principalId, count - 1);
      else counts.delete(principalId);
    },
  };
}

export function createParkedCalls(options: {
  readonly server: string;
  readonly room: ParkedRoom;
  /** How long a call waits for its agent, in milliseconds. */
  readonly parkedMs: number;
}): ParkedCalls {
  const { room } = options;
  const parked = new Map<string, Parked>();
  let isClosed = false;

  function remove(state: string): Parked | undefined {
    const one = parked.get(state);
    if (one === undefined) return undefined;
    parked.delete(state);
    clearTimeout(one.timer);
    room.leave(one.principalId);
    return one;
  }

  return {
    park(call, caller = "") {
      if (isClosed) return unreachable(options.server, "closed-by-gateway");
      const refusal = room.enter(caller);
      if (refusal !== undefined) return refusal;
      const state = randomBytes(stateBytes).toString("base64url");
      const timer = setTimeout(() => remove(state)?.call.giveUp(), options.parkedMs);
      parked.set(state, { call, principalId: caller, timer });
      return state;
    },
    take(state, caller = "") {
      return parked.get(state)?.principalId === caller ? remove(state)?.call : undefined;
    },
    size: () => parked.size,
    close() {
      isClosed = true;
      for (const state of [...parked.keys()]) remove(state)?.call.giveUp();
    },
  };
}
