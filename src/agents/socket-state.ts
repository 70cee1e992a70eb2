/**
 * What one WebSocket carries with it from upgrade to close. The binding alone reads and writes it.
 */
import type { Principal } from "../identity/principal.ts";
import { createYielder } from "../lib/yielding.ts";
import type { Caller, Calls } from "./conversation.ts";
import type { LegacySession } from "./legacy/sessions.ts";
import type { SendQueue } from "./send-queue.ts";

/** What Bun keeps with each socket. */
export interface SocketState {
  readonly caller: Caller;
  readonly principal: Principal;
  /** By the monotonic clock. */
  readonly openedAtMs: number;
  readonly calls: Calls;
  readonly inbox: string[];
  readonly yieldNow: () => Promise<void> | undefined;
  queue: SendQueue | undefined;
  session: LegacySession | undefined;
  /** Messages being answered. */
  pending: number;
  isServing: boolean;
  pings: number;
}

export function createSocketState(
  caller: Caller,
  principal: Principal,
  openedAtMs: number,
): SocketState {
  return {
    caller,
    principal,
    openedAtMs,
    calls: new Map(),
    inbox: [],
    yieldNow: createYielder(),
    queue: undefined,
    session: undefined,
    pending: 0,
    isServing: false,
    pings: 0,
  };
}
