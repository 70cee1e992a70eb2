/**
 * A fault is a refusal as a value: the row of the catalogue, the words for the caller, and what only the record
 * may know. Stages return faults; they do not throw them. `GatewayError` carries one where throwing is the
 * convention (admin services, storage, start-up).
 */
import type { ErrorName } from "./catalogue.ts";

export interface Fault {
  readonly name: ErrorName;
  /** What the caller reads. Never a secret, a stack or another party's text. */
  readonly message: string;
  /** JSON-serialisable `error.data` for the caller. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** How long the caller should wait, in milliseconds. */
  readonly retryAfterMs?: number;
  /** `WWW-Authenticate` parameters beyond the scheme, for 401 and 403. */
  readonly challenge?: string;
  /** The scheme of that challenge, where it is not `Bearer`. */
  readonly scheme?: "DPoP";
  /** Response headers that belong to the refusal. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Why, for the record and the log only: a short kebab-case or dotted code. */
  readonly reason?: string;
}

type FaultMore = Omit<Fault, "name" | "message">;

export function createFault(name: ErrorName, message: string, more: FaultMore = {}): Fault {
  return { name, message, ...more };
}

export class GatewayError extends Error {
  readonly fault: Fault;

  constructor(name: ErrorName, message: string, more: FaultMore & { cause?: unknown } = {}) {
    const { cause, ...rest } = more;
    super(message, cause === undefined ? undefined : { cause });
    this.name = "GatewayError";
    this.fault = createFault(name, message, rest);
  }
}
