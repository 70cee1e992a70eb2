/**
 * One message on its way through the pipeline. Read-only facts set by dispatch, then fields written by exactly one
 * stage each, named beside them. There is no open bag of values: a stage that needs a field adds it here.
 */

import type { RecordDraft } from "../audit/record.ts";
import type { CacheIdentity } from "../cache/cache-key.ts";
import type { Fault } from "../errors/fault.ts";
import type { Principal } from "../identity/principal.ts";
import type { CancelSignal } from "../lib/cancellation.ts";
import type { Charge } from "../limits/charge.ts";
import type { LimitPlan } from "../limits/limit-plan.ts";
import type { Decision } from "../policy/rule.ts";
import type { JsonObject } from "../protocol/json-view.ts";
import type { ListenFilter } from "../protocol/listen-filter.ts";
import type { McpRequest, Outcome } from "../protocol/messages.ts";
import type { MethodFacts } from "../protocol/methods.ts";
import type { ResolvedName } from "../route/names.ts";
import type { Scope, Snapshot } from "../state/snapshot.ts";
import type { Incoming, Reply, Sink } from "./incoming.ts";

/** A request under the names its server uses. */
export interface Forwarding {
  readonly server: string;
  readonly request: McpRequest;
}

/** What to follow, by server name. */
export type ListenPlan = ReadonlyMap<string, ListenFilter>;

/** What a listener asked for, and which servers it may hear it from. */
export interface Listened {
  readonly filter: ListenFilter;
  readonly plan: ListenPlan;
}

/**
 * Where a call goes: to one server, to several whose lists are joined, nowhere because the gateway answers for them
 * (`discover`), or on and on, until it is ended (`listen`).
 */
export type Target =
  | { readonly kind: "server"; readonly forwarding: Forwarding }
  | { readonly kind: "merge"; readonly forwardings: readonly Forwarding[] }
  | { readonly kind: "discover"; readonly servers: readonly string[] }
  | ({ readonly kind: "listen" } & Listened);

/** Where the cache will keep a clean reply. */
export interface CachePlan {
  /** As the operator declared it: this caller's alone, or everybody's. */
  readonly identity: CacheIdentity;
  /** This caller's alone, where that differs: for what its server says is private. */
  readonly ownIdentity: CacheIdentity | undefined;
  /** Longest it is kept; `hinted` = as long as its server says, and not at all where it says nothing. */
  readonly ttlMs: number | "hinted";
}

/** What both records of a call have in common. */
export type CallRecord = Pick<RecordDraft, "class" | "facts" | "details">;

/** What one of several servers answered. */
export interface Answer {
  readonly server: string;
  readonly outcome: Outcome;
}

export interface Exchange {
  readonly id: string;
  readonly receivedAtMs: number;
  readonly startedMonotonicMs: number;
  readonly incoming: Incoming;
  readonly sink: Sink;
  readonly snapshot: Snapshot;
  readonly signal: CancelSignal;
  /** Monotonic deadline of the whole call. */
  readonly deadlineMs: number;

  /** Undefined where the message is not a request. Rewritten by resume: the server's own `requestState` put back. */
  request: McpRequest | undefined;
  /** Undefined for an unknown method. */
  readonly method: MethodFacts | undefined;

  /** Written by authenticate. */
  principal: Principal | undefined;
  /**
   * Written by rate-limit: what holds for the principal, what it paid, where the tightest bucket stands, how to give
   * the place in flight back. Rewritten by quota, which knows more buckets and may put another tier in their place.
   */
  limit: Reply["limit"];
  charges: readonly Charge[];
  limitPlan: LimitPlan | undefined;
  release: (() => void) | undefined;
  /** Written by authorize: the scope, the server and own name of the target, the decision; what a listen may hear. */
  scope: Scope | undefined;
  resolved: ResolvedName | undefined;
  /** Written by authorize for requests about a task: the server's own id of it; `resolved` is its tool then. */
  taskId: string | undefined;
  decision: Decision | undefined;
  listened: Listened | undefined;
  /** Written by resume: how many questions of its server the call has led to before this request. */
  round: number;
  /** Written by validate, or by route where it learnt the tool first: the arguments are not what the tool's schema asks for. */
  argumentsInvalid: boolean;
  /** Written by route. */
  target: Target | undefined;
  /** Written by cache: the reply came from memory, or how to keep the one that comes. */
  cached: boolean;
  cachePlan: CachePlan | undefined;
  /** Written by sanitize: values masked, or skills left out of a list. */
  redactions: number;
  /** Written by intent: what the record says of the call itself, and the intent record's number, where one was made. */
  recorded: CallRecord | undefined;
  intentSeq: number | undefined;
  /** Written by forward: the servers were asked (so a failed record is `outcome-unrecorded`). */
  forwarded: boolean;
  /** Written by forward where the target is a merge: what each server answered. */
  answers: readonly Answer[];
  /** Written by the runner: how many stages were entered, and whether anything was streamed before the reply. */
  entered: number;
  relayed: boolean;
  /** How it ended: written by whichever stage answers or refuses, rewritten on the way out. */
  outcome: Outcome | undefined;
}

/** A stage's word on the way in. */
export type Verdict =
  | { readonly kind: "proceed" }
  | { readonly kind: "answer"; readonly outcome: Outcome }
  | { readonly kind: "refuse"; readonly fault: Fault };

export const proceed: Verdict = Object.freeze({ kind: "proceed" });

export function refuse(fault: Fault): Verdict {
  return { kind: "refuse", fault };
}

export function answer(outcome: Outcome): Verdict {
  return { kind: "answer", outcome };
}

export function answerWith(result: JsonObject): Verdict {
  return { kind: "answer", outcome: { kind: "result", result } };
}
