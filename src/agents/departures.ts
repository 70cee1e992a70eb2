/**
 * Notices callers that go away while their call runs, for that is how a modern agent cancels. Asking Bun for a
 * request's own signal costs more than most calls take, so only calls that outlast a beat are asked about; a caller
 * who left before is known then. Bun's signal says nothing where we cut the connection: whoever cuts, aborts.
 */
import { Cancellation } from "../lib/cancellation.ts";
import type { Arrival } from "./arrival.ts";
import type { Beat } from "./beat.ts";

export interface Departures {
  /** Aborts within a beat of the caller's going away. */
  follow(arrival: Arrival): Departure;
}

export interface Departure {
  readonly cancellation: Cancellation;
  /** The call is over: nobody needs to know any more. */
  readonly forget: () => void;
}

export function createDepartures(beat: Pick<Beat, "join">): Departures {
  const fresh = new Map<Cancellation, Request>();

  beat.join(() => {
    for (const [cancellation, { signal }] of fresh) {
      if (signal.aborted) cancellation.abort();
      else signal.addEventListener("abort", () => cancellation.abort(), { once: true });
    }
    fresh.clear();
  });

  return {
    follow({ request }) {
      const cancellation = new Cancellation();
      fresh.set(cancellation, request);
      return { cancellation, forget: () => void fresh.delete(cancellation) };
    },
  };
}
