/**
 * Turns whatever an RPC threw into the gRPC status its caller reads, through the one error table. Our own bugs become
 * INTERNAL without their words: those go to the log.
 */
import { Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { catalogue } from "../errors/catalogue.ts";
import { createFault, type Fault, GatewayError } from "../errors/fault.ts";
import { StoreError } from "../storage/store.ts";

const detailsLengthMax = 1024;

/** The fault behind an error; undefined for a bug of ours. */
export function toFault(error: unknown): Fault | undefined {
  if (error instanceof GatewayError) return error.fault;
  if (!(error instanceof StoreError)) return undefined;
  if (error.kind === "conflict") {
    return createFault("state-conflict", "State changed meanwhile: read it again and retry");
  }
  if (error.kind === "unavailable") {
    return createFault("overloaded", "The database does not answer; nothing was changed");
  }
  return undefined;
}

/** The status sent for a fault; the catalogue's name is in the trailer `error-name`. */
export function toStatus(fault: Fault | undefined): StatusObject {
  const { name, message } = fault ?? createFault("internal", catalogue.internal.message);
  const metadata = new Metadata();
  metadata.set("error-name", name);
  if (fault?.retryAfterMs !== undefined) {
    metadata.set("retry-after-ms", String(Math.ceil(fault.retryAfterMs)));
  }
  return {
    code: status[catalogue[name].grpc],
    details: message.slice(0, detailsLengthMax),
    metadata,
  };
}

/** The status name for records and metrics: `OK`, `ABORTED`, ... */
export function statusName(fault: Fault | undefined): string {
  return catalogue[fault?.name ?? "internal"].grpc;
}
