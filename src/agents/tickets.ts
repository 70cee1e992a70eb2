/**
 * One-time WebSocket tickets for browsers, whose WebSocket API cannot send a header: whoever authenticated by POST gets
 * a ticket, and the upgrade that brings it speaks with that very credential. A ticket works once, for its scope and
 * origin, for half a minute, on the node that gave it. Kept in memory, by digest.
 */
import { hash } from "node:crypto";
import type { Credential, Evidence } from "../identity/principal.ts";
import type { Clock } from "../lib/clock.ts";
import { randomSecret } from "../lib/id.ts";

/** What a ticket stands for. */
export interface TicketHolder {
  readonly credential: Credential;
  /** What its holder proved when it was given. */
  readonly evidence?: Evidence | undefined;
  readonly scope: string;
  /** The browser page that asked for it; only it may use it. */
  readonly origin: string | undefined;
}

/** A credential and what proves it. */
export interface Presented {
  readonly credential: Credential;
  readonly evidence: Evidence | undefined;
}

export interface Tickets {
  /** A new ticket; undefined while too many are out. */
  issue(holder: TicketHolder): string | undefined;
  /** Who is behind a ticket, which is used up by asking; undefined where it is not good here. */
  redeem(ticket: string, scope: string, origin: string | undefined): Presented | undefined;
}

export const ticketLifetimeMs = 30_000;
const ticketsMax = 10_000;

export function createTickets(clock: Clock): Tickets {
  /** In the order they were given, which is the order they expire in. */
  const outstanding = new Map<string, TicketHolder & { readonly untilMs: number }>();

  function dropExpired(): void {
    for (const [digest, { untilMs }] of outstanding) {
      if (untilMs > clock.monotonicMs()) return;
      outstanding.delete(digest);
    }
  }

  return {
    issue(holder) {
      dropExpired();
      if (outstanding.size >= ticketsMax) return undefined;
      const ticket = randomSecret();
      const untilMs = clock.monotonicMs() + ticketLifetimeMs;
      const { credential, evidence, scope, origin } = holder;
      outstanding.set(digestOf(ticket), { credential, evidence, scope, origin, untilMs });
      return ticket;
    },
    redeem(ticket, scope, origin) {
      dropExpired();
      const digest = digestOf(ticket);
      const holder = outstanding.get(digest);
      outstanding.delete(digest);
      if (holder?.scope !== scope || holder.origin !== origin) return undefined;
      return { credential: holder.credential, evidence: holder.evidence };
    },
  };
}

function digestOf(ticket: string): string {
  return hash("sha256", ticket, "base64");
}
