/**
 * The headers that say which trace a message belongs to; `pipeline/trace-context.ts` says what becomes of them.
 */
import type { Caller } from "./conversation.ts";

type Trace = Pick<Caller, "traceparent" | "tracestate" | "baggage">;

const noTrace: Trace = Object.freeze({ traceparent: undefined });
const traceparentCharsMax = 64;

export function readTraceHeaders(headers: Headers): Trace {
  const traceparent = headers.get("traceparent");
  if (traceparent === null || traceparent.length > traceparentCharsMax) return noTrace;
  return {
    traceparent,
    tracestate: headers.get("tracestate") ?? undefined,
    baggage: headers.get("baggage") ?? undefined,
  };
}
