/**
 * One HTTP request that has passed the front door: who calls, where to, and how its connection is kept. The listener
 * makes it, the bindings read it. Holds no policy.
 */
import type { Caller } from "./conversation.ts";
import type { MetadataUrl } from "./http-response.ts";

export interface Arrival {
  readonly request: Request;
  readonly caller: Caller;
  /** The path as matched, and the query without its `?`. */
  readonly path: string;
  readonly query: string;
  /** Where the protected-resource document of this endpoint is, for `WWW-Authenticate`. */
  readonly metadataUrl: MetadataUrl;
  /** Lifts the idle timeout: the answer takes its time, or is a stream. */
  readonly keepOpen: () => void;
  /** Set where a stream took over the place of this request: it gives the place back when it closes. */
  isHeld: boolean;
}
