/**
 * What the admin plane reads off and writes to a grpc-js call: the credential, cancellation, and a stream of answers
 * under back-pressure. Used by `handle.ts` and `reflection.ts`; decides nothing about permission.
 */
import type { Metadata, ServerWritableStream } from "@grpc/grpc-js";
import { GatewayError } from "../errors/fault.ts";
import { createYielder } from "../lib/yielding.ts";
import type { Operator } from "./caller.ts";
import type { OperatorCredential } from "./operators.ts";

export type Authenticate = (credential: OperatorCredential) => Operator | undefined;

/** The part of every grpc-js server call that says who is calling. */
export interface IncomingCall {
  readonly metadata: Metadata;
  getAuthContext(): {
    readonly sslPeerCertificate?: { readonly subject?: { readonly CN?: string | string[] } };
  };
}

export interface CancellableCall {
  readonly cancelled: boolean;
  on(event: "cancelled", listener: () => void): unknown;
}

/** Who is calling; throws GatewayError unauthenticated. */
export function authenticateCall(call: IncomingCall, authenticate: Authenticate): Operator {
  // No browser speaks gRPC by itself: an Origin means a page is trying to reach this port.
  if (call.metadata.get("origin").length > 0) {
    throw new GatewayError("origin-refused", "Browsers may not use the admin plane", {
      reason: "origin",
    });
  }
  const operator = authenticate({
    token: readToken(call.metadata),
    certificateCommonName: readCommonName(call),
  });
  if (operator !== undefined) return operator;
  throw new GatewayError(
    "unauthenticated",
    'Send the metadata "authorization: Bearer <token>", or a client certificate this gateway knows',
    { reason: "credential" },
  );
}

/** Aborts when the client cancels or its deadline passes, or when `stopping` does. */
export function toSignal(call: CancellableCall, stopping: AbortSignal): AbortSignal {
  const cancelled = new AbortController();
  call.on("cancelled", () => cancelled.abort());
  if (call.cancelled) cancelled.abort();
  return AbortSignal.any([cancelled.signal, stopping]);
}

/** Writes every message, as fast as the reader reads; returns how many. Stops when `signal` aborts. */
export async function writeAll(
  call: ServerWritableStream<Buffer, object>,
  messages: AsyncIterable<object>,
  signal: AbortSignal,
): Promise<number> {
  const mayYield = createYielder();
  let written = 0;
  for await (const message of messages) {
    await mayYield();
    if (signal.aborted) break;
    written += 1;
    if (!call.write(message)) await drained(call, signal);
  }
  if (signal.aborted) throw new GatewayError("cancelled", "Cancelled");
  return written;
}

function drained(call: ServerWritableStream<Buffer, object>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      call.off("drain", done);
      call.off("close", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    call.once("drain", done);
    call.once("close", done);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}

/** Exactly one Bearer credential, or none; anything else is refused, never guessed at. */
function readToken(metadata: Metadata): string | undefined {
  const values = metadata.get("authorization");
  if (values.length === 0) return undefined;
  const [value] = values;
  const match = typeof value === "string" ? /^Bearer ([\x21-\x7e]+)$/i.exec(value) : null;
  if (values.length === 1 && match?.[1] !== undefined) return match[1];
  throw new GatewayError("unauthenticated", 'Send "authorization: Bearer <token>" once', {
    reason: "credential-unusable",
  });
}

function readCommonName(call: IncomingCall): string | undefined {
  const name = call.getAuthContext().sslPeerCertificate?.subject?.CN;
  // A subject with several common names identifies nobody.
  return typeof name === "string" ? name : undefined;
}
