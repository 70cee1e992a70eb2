/**
 * The headers that say which request and which trace a message belongs to; `pipeline/trace-context.ts` checks the
 * trace and says what becomes of it.
 */
import type { Caller } from "./conversation.ts";

type Correlation = Pick<Caller, "requestId" | "traceparent" | "tracestate" | "baggage">;

const requestIdForm = /^[A-Za-z0-9][A-Za-z0-9._:~-]{0,127}$/;
const traceparentCharsMax = 64;

export function readCorrelation(headers: Headers): Correlation {
  const given = headers.get("x-request-id");
  const requestId = given !== null && requestIdForm.test(given) ? given : undefined;
  const traceparent = headers.get("traceparent");
  if (traceparent === null || traceparent.length > traceparentCharsMax) {
    return { requestId, traceparent: undefined };
  }
  return {
    requestId,
    traceparent,
    tracestate: headers.get("tracestate") ?? undefined,
    baggage: headers.get("baggage") ?? undefined,
  };
}
