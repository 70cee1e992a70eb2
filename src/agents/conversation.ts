/**
 * What one message from an agent comes to, whatever carried it: dispatched, or refused through dispatch so that the
 * refusal is recorded. The bindings call it and turn what it returns into bytes; it knows no transport. What the
 * older revisions need beyond this is in `legacy/conversation.ts`.
 */

import { createFault, type Fault } from "../errors/fault.ts";
import type { Credential, Evidence, Principal } from "../identity/principal.ts";
import { Cancellation, type CancelSignal } from "../lib/cancellation.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/id.ts";
import type { BindingName, Dispatch, From, Incoming, Peer, Reply } from "../pipeline/incoming.ts";
import type { HeaderSource } from "../protocol/classify.ts";
import { isInputRequired } from "../protocol/input-required.ts";
import { type JsonObject, memberText } from "../protocol/json-view.ts";
import type { MalformedMessage, McpNotification, McpRequest } from "../protocol/messages.ts";
import { methodFacts } from "../protocol/methods.ts";
import type { AnyMessage } from "../protocol/parse-message.ts";
import { type Era, newestLegacyRevision, newestModernRevision } from "../protocol/revisions.ts";
import type { Log } from "../telemetry/log.ts";
import type { Admission } from "./admission.ts";
import { type Asked, renderAnswer, renderRelayed, statusOf } from "./render-answer.ts";

/** Who speaks, as far as a binding can tell. */
export interface Caller {
  readonly binding: BindingName;
  readonly scope: string;
  readonly credential: Credential;
  readonly evidence?: Evidence | undefined;
  readonly peer: Peer;
  readonly origin: string | undefined;
  readonly requestId: string | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate?: string | undefined;
  readonly baggage?: string | undefined;
}

/** One message with its size in bytes. */
export interface Received<M> {
  readonly message: M;
  readonly bytes: number;
}

export type Spoken =
  | {
      readonly kind: "answer";
      readonly text: string;
      readonly status: number;
      /** Undefined where the edge answered by itself. */
      readonly reply: Reply | undefined;
    }
  /** A notification or a response: there is nothing to say. */
  | { readonly kind: "accepted" }
  /** The agent withdrew its request: nobody waits for an answer. */
  | { readonly kind: "cancelled" };

/** Takes rendered messages that go out before the answer. */
export type RelayText = (text: string) => void;

/** A message on its way to dispatch. */
export interface Asking<M> {
  readonly caller: Caller;
  readonly era: Era;
  readonly received: Received<M>;
  readonly relay: RelayText;
  /** Names the session it came in, where there is one, without being its secret id. */
  readonly sessionId?: string;
  /** The headers of a modern message over HTTP. */
  readonly mirrored?: HeaderSource;
}

/** Requests in flight by the source text of their id. */
export type Calls = Map<string, Cancellation>;

/** How a tracked request is worked on, where dispatching it is not all there is to do. */
export interface Ways {
  /** In place of dispatch. */
  readonly run?: (asking: Asking<McpRequest>, signal: CancelSignal) => Promise<Reply>;
  /** Goes on with a call that paused to ask the agent's side something; resolves with the reply that ends it. */
  readonly resume?: (
    asking: Asking<McpRequest>,
    paused: Reply,
    signal: CancelSignal,
  ) => Promise<Reply>;
}

export interface Conversation {
  /** A message of the modern era; `calls` where the connection knows its requests (WebSocket), else `signal` alone cancels. */
  modern(
    asking: Asking<McpRequest | McpNotification>,
    signal: CancelSignal,
    calls?: Calls,
  ): Promise<Spoken>;
  /** A request that a later message on the same session or socket may cancel (PR-08, PR-19). */
  tracked(asking: Asking<McpRequest>, calls: Calls, ways?: Ways): Promise<Spoken>;
  /** How many of these requests last, as a listen does. */
  countLasting(calls: Calls): number;
  /** Dispatches and renders nothing. */
  run(asking: Asking<Incoming["message"]>, signal: CancelSignal): Promise<Reply>;
  /** Answers with a fault, through dispatch: the caller is authenticated first and the refusal recorded. */
  refuse(asking: Omit<Asking<MalformedMessage>, "relay">): Promise<Spoken>;
  render(asked: Asked, reply: Reply): Spoken;
  /** True while new calls may use what this principal opened from there. */
  isValid(principal: Principal, from: From): boolean;
}

export const accepted: Spoken = Object.freeze({ kind: "accepted" });
export const neverAborts = new Cancellation().signal;
const cancelled: Spoken = Object.freeze({ kind: "cancelled" });

/** A request that lasts has bounds of its own instead of a share in those of its connection. */
function isLasting(method: string): boolean {
  return methodFacts(method, "modern")?.lasts === true;
}

export function createConversation(deps: {
  readonly dispatch: Dispatch;
  readonly admission: Pick<Admission, "callStarted" | "callEnded">;
  readonly clock: Clock;
  readonly log: Log;
  readonly callsPerConnectionMax: number;
  /** Source text of the gateway's `Implementation` object. */
  readonly serverInfoText: string;
}): Conversation {
  const { dispatch, admission, clock } = deps;
  const lasting = new WeakSet<Cancellation>();

  async function run(asking: Asking<Incoming["message"]>, signal: CancelSignal): Promise<Reply> {
    const { caller, era, received, relay } = asking;
    const { message } = received;
    const defaultRevision = era === "modern" ? newestModernRevision : newestLegacyRevision;
    admission.callStarted();
    try {
      return await dispatch.dispatch(
        {
          binding: caller.binding,
          era,
          revision: message.kind === "request" ? message.envelope.revision : defaultRevision,
          scope: caller.scope,
          credential: caller.credential,
          evidence: caller.evidence,
          peer: caller.peer,
          origin: caller.origin,
          requestId: caller.requestId,
          sessionId: asking.sessionId,
          traceparent: caller.traceparent,
          tracestate: caller.tracestate,
          baggage: caller.baggage,
          mirrored: asking.mirrored,
          bodyBytes: received.bytes,
          message,
          signal,
        },
        { relay: (relayed) => relay(renderRelayed(relayed)) },
      );
    } catch (cause) {
      // Dispatch does not reject. If it ever does, one call fails, not the process.
      deps.log.error("agents.dispatch-threw", { binding: caller.binding, cause: String(cause) });
      return toReply(caller, createFault("internal", "Internal error"));
    } finally {
      admission.callEnded();
    }
  }

  function render(asked: Asked, reply: Reply): Spoken {
    const text = renderAnswer(asked, reply, deps.serverInfoText);
    return { kind: "answer", text, status: statusOf(reply.outcome, asked.era), reply };
  }

  async function refuse(asking: Omit<Asking<MalformedMessage>, "relay">): Promise<Spoken> {
    const { era, received } = asking;
    const reply = await run({ ...asking, relay: ignore }, neverAborts);
    return render({ idText: received.message.idText, method: "", era }, reply);
  }

  async function untracked(asking: Asking<McpRequest>, signal: CancelSignal): Promise<Spoken> {
    const { idText, method } = asking.received.message;
    const reply = await run(asking, signal);
    return render({ idText, method, era: asking.era }, reply);
  }

  async function notified(
    asking: Asking<McpRequest | McpNotification>,
    signal: CancelSignal,
    calls: Calls | undefined,
  ): Promise<Spoken> {
    const { caller, era, received, relay } = asking;
    const { message } = received;
    if (message.method === "notifications/cancelled" && calls !== undefined) {
      cancelCall(calls, message.params);
      return accepted;
    }
    const reply = await run({ caller, era, received, relay }, signal);
    // A refused notification has a status on HTTP; an accepted one has no answer at all.
    if (reply.outcome.kind !== "fault") return accepted;
    return render({ idText: undefined, method: message.method, era }, reply);
  }

  async function tracked(asking: Asking<McpRequest>, calls: Calls, ways?: Ways): Promise<Spoken> {
    const { message: request, bytes } = asking.received;
    const { idText, method, envelope } = request;
    const refusal = checkCalls(calls, idText, method);
    if (refusal !== undefined) {
      // Echoing a repeated id would answer the first request, which is still running.
      const message = malformed(calls.has(idText) ? undefined : request, refusal);
      return refuse({ ...asking, received: { message, bytes } });
    }
    const call = new Cancellation();
    if (isLasting(method)) lasting.add(call);
    calls.set(idText, call);
    try {
      let reply = await (ways?.run ?? run)(asking, call.signal);
      if (ways?.resume !== undefined && isPaused(reply)) {
        reply = await ways.resume(asking, reply, call.signal);
      }
      if (call.signal.aborted) return cancelled;
      return render({ idText, method, era: asking.era, revision: envelope.revision }, reply);
    } finally {
      calls.delete(idText);
    }
  }

  function countLasting(calls: Calls): number {
    let count = 0;
    for (const call of calls.values()) if (lasting.has(call)) count += 1;
    return count;
  }

  function checkCalls(calls: Calls, idText: string, method: string): Fault | undefined {
    if (calls.has(idText)) {
      const message = "Invalid request: this id belongs to a request in flight";
      return createFault("invalid-request", message);
    }
    if (calls.size < deps.callsPerConnectionMax || isLasting(method)) return undefined;
    if (calls.size - countLasting(calls) < deps.callsPerConnectionMax) return undefined;
    const message = `Too many requests in flight: at most ${deps.callsPerConnectionMax} here`;
    return createFault("too-many-in-flight", message, { retryAfterMs: 1_000 });
  }

  return {
    modern(asking, signal, calls) {
      if (!isRequest(asking)) return notified(asking, signal, calls);
      return calls === undefined ? untracked(asking, signal) : tracked(asking, calls);
    },
    tracked,
    countLasting,
    run,
    refuse,
    render,
    isValid(principal, from) {
      const { expiresAtMs } = principal;
      if (expiresAtMs !== undefined && expiresAtMs <= clock.nowMs()) return false;
      return dispatch.stillValid(principal, from);
    },
  };
}

function isRequest(asking: Asking<AnyMessage>): asking is Asking<McpRequest> {
  return asking.received.message.kind === "request";
}

/** A message that is refused for what `fault` says, under its own id where it has one. */
export function malformed(message: AnyMessage | undefined, fault: Fault): MalformedMessage {
  const idText =
    message === undefined || message.kind === "notification" ? undefined : message.idText;
  return { kind: "malformed", idText, fault };
}

/** A reply of our own making, for what never reached dispatch or never came back. */
export function toReply(caller: Caller, fault: Fault): Reply {
  const outcome = { kind: "fault", fault } as const;
  return { outcome, requestId: caller.requestId ?? newId(), limit: undefined };
}

/** True where the call has not ended: its server asks the agent's side something first. */
export function isPaused(reply: Reply): boolean {
  return reply.outcome.kind === "result" && isInputRequired(reply.outcome.result);
}

/** An id that is not in flight here is somebody else's or finished: nothing happens (PR-19). */
export function cancelCall(calls: Calls, params: JsonObject | undefined): void {
  const idText = params === undefined ? undefined : memberText(params, "requestId");
  if (idText !== undefined) calls.get(idText)?.abort();
}

/** The fault of an answer whose caller's credential does not hold. */
export function isUnauthenticated(spoken: Spoken): boolean {
  if (spoken.kind !== "answer" || spoken.reply === undefined) return false;
  const { outcome } = spoken.reply;
  return outcome.kind === "fault" && outcome.fault.name === "unauthenticated";
}

export function ignore(): void {}
