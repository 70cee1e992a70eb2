/**
 * Why WebSockets end before their agent wants them to: the close code for each end of a session, and the frames that
 * cost a socket, with what is recorded of them. The binding closes and records.
 */
import { catalogue } from "../errors/catalogue.ts";
import { createFault, type Fault } from "../errors/fault.ts";
import type { SessionEnd } from "./legacy/sessions.ts";

export const closeCodes: Readonly<Record<SessionEnd, number | undefined>> = {
  deleted: 1000,
  idle: 1000,
  expired: catalogue["session-unknown"].close,
  revoked: catalogue.unauthenticated.close,
  "ended-by-operator": catalogue["session-unknown"].close,
  draining: catalogue.draining.close,
};

export interface Breach {
  readonly code: number;
  readonly words: string;
  readonly fault: Fault;
}

export const binaryFrame: Breach = {
  code: 1003,
  words: "text frames only",
  fault: createFault("invalid-request", "Invalid request: a binary frame", {
    reason: "binary-frame",
  }),
};
export const tooManyPings: Breach = {
  code: 1008,
  words: "too many pings",
  fault: createFault("rate-limited", "Too many pings", { reason: "pings" }),
};

const oversized = createFault("payload-too-large", "Payload too large: a WebSocket message");
const brokenFrame = createFault("invalid-request", "Invalid request: no frame of RFC 6455", {
  reason: "broken-frame",
});

/** What made Bun end a socket: to us it says 1006 then, and why. Undefined where the peer left, or we closed. */
export function breachOf(code: number, reason: string): Fault | undefined {
  if (code !== 1006 || !reason.startsWith("Received ")) return undefined;
  return reason === "Received too big message" ? oversized : brokenFrame;
}
