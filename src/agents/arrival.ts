/**
 * One HTTP request that has passed the front door: who calls, where to, and how its connection is kept. The listener
 * makes it, the bindings read it. Holds no policy.
 */
import type { Caller } from "./conversation.ts";

export interface Arrival {
  readonly request: Request;
  readonly caller: Caller;
  /** The path as matched, and the query without its `?`. */
  readonly path: string;
  readonly query: string;
  /** Where the protected-resource document of this endpoint is, for `WWW-Authenticate`. */
  readonly metadataUrl: string;
  /** Lifts the idle timeout: the answer takes its time, or is a stream. */
  readonly keepOpen: () => void;
  /** Set where a stream took over the place of this request: it gives the place back when it closes. */
  isHeld: boolean;
}

/**
 * Aborts when the caller goes away. Bun's own signal says nothing where we cut the connection, so whoever cuts aborts
 * it: a call nobody can hear the end of must not go on at its server.
 */
export function followCaller({ request }: Arrival): AbortController {
  const caller = new AbortController();
  request.signal.addEventListener("abort", () => caller.abort(), { once: true });
  return caller;
}
