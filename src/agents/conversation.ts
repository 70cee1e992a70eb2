/**
 * What one message from an agent comes to, whatever carried it: dispatched as it is (modern), under its session's
 * envelope (legacy), answered here (`ping`, `logging/setLevel`), or refused through dispatch so that the refusal is
 * recorded. The bindings call it and turn what it returns into bytes; it knows no transport.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import { renderResult } from "../errors/render.ts";
import type { Credential, Principal } from "../identity/principal.ts";
import type { Clock } from "../lib/clock.ts";
import type { BindingName, Dispatch, Incoming, Peer, Reply } from "../pipeline/incoming.ts";
import { readEnvelope, unsupportedVersion } from "../protocol/envelope.ts";
import { type JsonObject, memberText, stringMember } from "../protocol/json-view.ts";
import type { MalformedMessage, McpNotification, McpRequest } from "../protocol/messages.ts";
import { type AnyMessage, withEnvelope } from "../protocol/parse-message.ts";
import { type Era, newestLegacyRevision, newestModernRevision } from "../protocol/revisions.ts";
import type { Admission } from "./admission.ts";
import type { Calls, LegacySession } from "./legacy/sessions.ts";
import {
  type Handshake,
  logLevels,
  readInitialize,
  sessionEnvelope,
  toInitializeResult,
} from "./legacy/to-modern.ts";
import { renderAnswer, renderRelayed, statusOf } from "./render-answer.ts";

/** Who speaks, as far as a binding can tell. */
export interface Caller {
  readonly binding: BindingName;
  readonly scope: string;
  readonly credential: Credential;
  readonly peer: Peer;
  readonly origin: string | undefined;
  readonly requestId: string | undefined;
  readonly traceparent: string | undefined;
}

export type Spoken =
  | {
      readonly kind: "answer";
      readonly text: string;
      readonly status: number;
      readonly reply: Reply | undefined;
    }
  /** A notification or a response: there is nothing to say. */
  | { readonly kind: "accepted" }
  /** The agent withdrew its request: nobody waits for an answer. */
  | { readonly kind: "cancelled" };

export interface Opened {
  readonly spoken: Spoken;
  /** Present where the handshake succeeded. */
  readonly handshake?: Handshake;
}

export type RelayText = (text: string) => void;

/** One message with its size; the same for every function below. */
export interface Received<M> {
  readonly message: M;
  readonly bytes: number;
}

export interface Conversation {
  /** A modern message; `calls` where the connection must know its requests (WebSocket). */
  modern(
    caller: Caller,
    received: Received<McpRequest | McpNotification>,
    signal: AbortSignal,
    relay: RelayText,
    calls?: Calls,
  ): Promise<Spoken>;
  /** A message within a legacy session. */
  legacy(
    caller: Caller,
    session: LegacySession,
    received: Received<AnyMessage>,
    relay: RelayText,
  ): Promise<Spoken>;
  /** A legacy request without a session, on the one endpoint that allows it. */
  sessionless(
    caller: Caller,
    received: Received<McpRequest>,
    relay: RelayText,
    signal: AbortSignal,
  ): Promise<Spoken>;
  /** `initialize`; opening the session is the binding's part. */
  initialize(caller: Caller, received: Received<McpRequest>): Promise<Opened>;
  /** Answers with a fault, through dispatch: the caller is authenticated first and the refusal recorded. */
  refuse(caller: Caller, era: Era, received: Received<MalformedMessage>): Promise<Spoken>;
  /** True while new calls may use what this principal opened. */
  isValid(principal: Principal): boolean;
}

const accepted: Spoken = Object.freeze({ kind: "accepted" });
const cancelled: Spoken = Object.freeze({ kind: "cancelled" });
const neverAborts = new AbortController().signal;

export function createConversation(deps: {
  readonly dispatch: Dispatch;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly callsPerConnectionMax: number;
  /** Source text of the gateway's `Implementation` object. */
  readonly serverInfoText: string;
}): Conversation {
  const { dispatch, admission, clock, serverInfoText } = deps;

  async function run(
    caller: Caller,
    era: Era,
    received: Received<Incoming["message"]>,
    signal: AbortSignal,
    relay: RelayText,
    session?: LegacySession,
  ): Promise<Reply> {
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
          peer: caller.peer,
          origin: caller.origin,
          requestId: caller.requestId,
          sessionId: session?.publicId,
          traceparent: caller.traceparent,
          bodyBytes: received.bytes,
          message,
          signal,
        },
        { relay: (relayed) => relay(renderRelayed(relayed)) },
      );
    } finally {
      admission.callEnded();
    }
  }

  async function refuse(
    caller: Caller,
    era: Era,
    received: Received<MalformedMessage>,
    session?: LegacySession,
  ): Promise<Spoken> {
    const { idText } = received.message;
    const reply = await run(caller, era, received, neverAborts, ignore, session);
    return answered({ idText, method: "", era }, reply);
  }

  function answered(asked: Parameters<typeof renderAnswer>[0], reply: Reply): Spoken {
    const text = renderAnswer(asked, reply, serverInfoText);
    return { kind: "answer", text, status: statusOf(reply.outcome, asked.era), reply };
  }

  /** Runs a request that a later message on the same session or socket may cancel (PR-08, PR-19). */
  async function runTracked(
    caller: Caller,
    era: Era,
    received: Received<McpRequest>,
    calls: Calls,
    relay: RelayText,
    session?: LegacySession,
  ): Promise<Spoken> {
    const { message: request, bytes } = received;
    const refusal = checkCalls(calls, request.idText);
    if (refusal !== undefined) {
      // Echoing a repeated id would answer the first request, which is still running.
      const message = malformed(calls.has(request.idText) ? undefined : request, refusal);
      return refuse(caller, era, { message, bytes }, session);
    }
    const call = new AbortController();
    calls.set(request.idText, call);
    try {
      const reply = await run(caller, era, received, call.signal, relay, session);
      if (call.signal.aborted) return cancelled;
      return answered({ idText: request.idText, method: request.method, era }, reply);
    } finally {
      calls.delete(request.idText);
    }
  }

  function checkCalls(calls: Calls, idText: string): Fault | undefined {
    if (calls.has(idText)) {
      return createFault(
        "invalid-request",
        "Invalid request: this id belongs to a request in flight",
      );
    }
    if (calls.size < deps.callsPerConnectionMax) return undefined;
    const message = `Too many requests in flight: at most ${deps.callsPerConnectionMax} here`;
    return createFault("too-many-in-flight", message, { retryAfterMs: 1_000 });
  }

  async function legacyRequest(
    caller: Caller,
    session: LegacySession,
    received: Received<McpRequest>,
    relay: RelayText,
  ): Promise<Spoken> {
    const { message: request, bytes } = received;
    switch (request.method) {
      case "ping":
        return local(request, "{}");
      case "logging/setLevel": {
        const level = request.params && stringMember(request.params, "level");
        if (level === undefined || !(logLevels as readonly string[]).includes(level)) {
          const text = `Invalid params: level must be one of ${logLevels.join(", ")}`;
          const message = malformed(request, createFault("invalid-params", text));
          return refuse(caller, "legacy", { message, bytes }, session);
        }
        session.logLevel = level;
        return local(request, "{}");
      }
      case "initialize": {
        const fault = createFault("invalid-request", "Invalid request: already initialized");
        return refuse(caller, "legacy", { message: malformed(request, fault), bytes }, session);
      }
      default: {
        const message = withEnvelope(request, sessionEnvelope(session));
        return runTracked(caller, "legacy", { message, bytes }, session.calls, relay, session);
      }
    }
  }

  async function initialize(caller: Caller, received: Received<McpRequest>): Promise<Opened> {
    const { message: request, bytes } = received;
    const handshake = readInitialize(request);
    if ("fault" in handshake) {
      const message = malformed(request, handshake.fault);
      return { spoken: await refuse(caller, "legacy", { message, bytes }) };
    }
    const asked = { message: handshake.discover, bytes };
    const reply = await run(caller, "modern", asked, neverAborts, ignore);
    if (reply.outcome.kind !== "result") {
      const spoken = answered(
        { idText: request.idText, method: "initialize", era: "legacy" },
        reply,
      );
      return { spoken };
    }
    const result = toInitializeResult(reply.outcome.result, handshake.revision, serverInfoText);
    const text = renderResult(request.idText, result);
    return { spoken: { kind: "answer", text, status: 200, reply }, handshake };
  }

  return {
    async modern(caller, received, signal, relay, calls) {
      const { message, bytes } = received;
      if (message.kind === "request") {
        if (calls !== undefined) {
          return runTracked(caller, "modern", { message, bytes }, calls, relay);
        }
        const reply = await run(caller, "modern", received, signal, relay);
        return answered({ idText: message.idText, method: message.method, era: "modern" }, reply);
      }
      if (message.method === "notifications/cancelled" && calls !== undefined) {
        cancel(calls, message.params);
        return accepted;
      }
      const reply = await run(caller, "modern", received, signal, relay);
      // A refused notification has a status on HTTP; an accepted one has no answer at all.
      if (reply.outcome.kind !== "fault") return accepted;
      return answered({ idText: undefined, method: message.method, era: "modern" }, reply);
    },
    async legacy(caller, session, received, relay) {
      const { message, bytes } = received;
      session.usedAtMs = clock.monotonicMs();
      switch (message.kind) {
        case "request":
          return legacyRequest(caller, session, { message, bytes }, relay);
        case "malformed":
          return refuse(caller, "legacy", { message, bytes }, session);
        case "notification":
          if (message.method === "notifications/cancelled") cancel(session.calls, message.params);
          if (message.method === "notifications/initialized") session.isInitialized = true;
          // Roots and progress have nobody to go to until `client-requests.ts` asks for them.
          return accepted;
        case "response":
          return accepted;
        default:
          return message satisfies never;
      }
    },
    async sessionless(caller, received, relay, signal) {
      const { message: request } = received;
      if (request.method === "initialize") return (await initialize(caller, received)).spoken;
      const reply = await run(caller, "legacy", received, signal, relay);
      return answered({ idText: request.idText, method: request.method, era: "legacy" }, reply);
    },
    initialize,
    refuse: (caller, era, received) => refuse(caller, era, received),
    isValid(principal) {
      const { expiresAtMs } = principal;
      if (expiresAtMs !== undefined && expiresAtMs <= clock.nowMs()) return false;
      return dispatch.stillValid(principal);
    },
  };
}

/** A message that is refused for what `fault` says, under its own id where it has one. */
export function malformed(message: AnyMessage | undefined, fault: Fault): MalformedMessage {
  const idText =
    message === undefined || message.kind === "notification" ? undefined : message.idText;
  return { kind: "malformed", idText, fault };
}

/** The era of a message by its body alone, as on a WebSocket: the envelope says modern, its absence legacy. */
export function classifyBody(
  request: McpRequest,
):
  | { readonly era: "legacy" }
  | { readonly era: "modern"; readonly request: McpRequest }
  | { readonly era: "refused"; readonly fault: Fault } {
  const reading = readEnvelope(request);
  switch (reading.kind) {
    case "none":
      return { era: "legacy" };
    case "fault":
      return { era: "refused", fault: reading.fault };
    case "modern": {
      const { envelope } = reading;
      if (envelope === undefined) {
        return { era: "refused", fault: unsupportedVersion(reading.version) };
      }
      return { era: "modern", request: { ...request, envelope } };
    }
    default:
      return reading satisfies never;
  }
}

/** The fault of an answer whose caller's credential does not hold. */
export function isUnauthenticated(spoken: Spoken): boolean {
  if (spoken.kind !== "answer" || spoken.reply === undefined) return false;
  const { outcome } = spoken.reply;
  return outcome.kind === "fault" && outcome.fault.name === "unauthenticated";
}

function local(request: McpRequest, resultText: string): Spoken {
  return {
    kind: "answer",
    text: renderResult(request.idText, resultText),
    status: 200,
    reply: undefined,
  };
}

/** An id that is not in flight here is somebody else's or finished: nothing happens (PR-19). */
function cancel(calls: Calls, params: JsonObject | undefined): void {
  const idText = params === undefined ? undefined : memberText(params, "requestId");
  if (idText !== undefined) calls.get(idText)?.abort();
}

function ignore(): void {}
