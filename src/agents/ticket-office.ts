/**
 * The HTTP side of WebSocket tickets: POST to a scope's `ws-ticket` gives one to whoever may use the scope, and the
 * upgrade exchanges it for the credential it stands for. What a ticket is, is in `tickets.ts`.
 */
import { createFault } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import type { Dispatch } from "../pipeline/incoming.ts";
import type { Arrival } from "./arrival.ts";
import { methodNotAllowed } from "./http-refusals.ts";
import { documentResponse, faultResponse } from "./http-response.ts";
import type { HttpBinding } from "./streamable-http.ts";
import { createTickets, type Presented, ticketLifetimeMs } from "./tickets.ts";

export interface TicketOffice extends HttpBinding {
  /** What an upgrade speaks with: what it presented, or what its ticket stands for. */
  exchange(
    presented: Presented,
    scope: string,
    query: string,
    origin: string | undefined,
  ): Presented;
}

const unusable: Presented = Object.freeze({
  credential: Object.freeze({ kind: "unusable", reason: "ticket" } as const),
  evidence: undefined,
});
const tooManyTickets = createFault("overloaded", "Overloaded: too many tickets are out", {
  retryAfterMs: ticketLifetimeMs,
});

export function createTicketOffice(deps: {
  readonly dispatch: Pick<Dispatch, "admit">;
  readonly clock: Clock;
}): TicketOffice {
  const tickets = createTickets(deps.clock);
  return {
    async serve(arrival: Arrival): Promise<Response> {
      const { caller, metadataUrl, request } = arrival;
      if (request.method !== "POST") return methodNotAllowed(arrival, "POST");
      const admitted = await deps.dispatch.admit(caller);
      if ("fault" in admitted) return faultResponse(admitted.fault, metadataUrl);
      const ticket = tickets.issue(caller);
      if (ticket === undefined) return faultResponse(tooManyTickets, metadataUrl);
      const url = `/${caller.scope}/ws?ticket=${ticket}`;
      return documentResponse({ ticket, url, expiresInSeconds: ticketLifetimeMs / 1_000 });
    },
    exchange(presented, scope, query, origin) {
      if (!query.includes("ticket=")) return presented;
      const ticket = new URLSearchParams(query).get("ticket");
      if (ticket === null) return presented;
      const { kind } = presented.credential;
      // Two credentials are one too many, whatever each is worth; a connection's certificate comes by itself.
      if (kind !== "none" && kind !== "certificate") return unusable;
      return tickets.redeem(ticket, scope, origin) ?? unusable;
    },
  };
}
