/**
 * One message on its way through the pipeline. Read-only facts set by dispatch, then fields written by exactly one
 * stage each, named beside them. There is no open bag of values: a stage that needs a field adds it here.
 */
import type { Fault } from "../errors/fault.ts";
import type { Principal } from "../identity/principal.ts";
import type { Decision } from "../policy/rule.ts";
import type { JsonObject } from "../protocol/json-view.ts";
import type { McpRequest, Outcome } from "../protocol/messages.ts";
import type { MethodFacts } from "../protocol/methods.ts";
import type { Scope, Snapshot } from "../state/snapshot.ts";
import type { Incoming, Reply } from "./incoming.ts";

/** A request with the server it goes to, under the names that server uses. */
export interface Forwarding {
  readonly server: string;
  readonly request: McpRequest;
}

/** Where a call goes. `merge` asks several servers the same question and joins the answers. */
export type Target =
  | { readonly kind: "server"; readonly forwarding: Forwarding }
  | { readonly kind: "merge"; readonly forwardings: readonly Forwarding[] };

export interface Exchange {
  readonly id: string;
  readonly receivedAtMs: number;
  readonly startedMonotonicMs: number;
  readonly incoming: Incoming;
  readonly snapshot: Snapshot;
  readonly signal: AbortSignal;
  /** Monotonic deadline of the whole call. */
  readonly deadlineMs: number;

  /** Undefined where the message is not a request. */
  readonly request: McpRequest | undefined;
  /** Undefined for an unknown method. */
  readonly method: MethodFacts | undefined;

  /** Written by authenticate. */
  principal: Principal | undefined;
  /** Written by rate-limit. */
  limit: Reply["limit"];
  /** Written by authorize: the scope, the server and own name of the target, and the decision. */
  scope: Scope | undefined;
  resolved: { readonly server: string; readonly name: string } | undefined;
  decision: Decision | undefined;
  /** Written by route. */
  target: Target | undefined;
  /** Written by cache: the reply came from memory. */
  cached: boolean;
  /** Written by sanitize: values masked. */
  redactions: number;
  /** Written by intent: sequence number of the intent record, where one was made. */
  intentSeq: number | undefined;
  /** Written by forward: the servers were asked (so a failed record is `outcome-unrecorded`). */
  forwarded: boolean;
  /** Written by relay in the runner: something was streamed before the reply. */
  relayed: boolean;
  /** How it ended: written by whichever stage answers or refuses, rewritten on the way out. */
  outcome: Outcome | undefined;
}

/** A stage's word on the way in. */
export type Verdict =
  | { readonly kind: "proceed" }
  | { readonly kind: "answer"; readonly result: JsonObject }
  | { readonly kind: "refuse"; readonly fault: Fault };

export const proceed: Verdict = Object.freeze({ kind: "proceed" });

export function refuse(fault: Fault): Verdict {
  return { kind: "refuse", fault };
}

export function answer(result: JsonObject): Verdict {
  return { kind: "answer", result };
}
