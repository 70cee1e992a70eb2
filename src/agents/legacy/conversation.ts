/**
 * What the older revisions add to a conversation: the handshake, the session's envelope under each request, and the
 * messages that are answered here (`ping`, `logging/setLevel`, notifications about the session itself). Everything
 * else goes the modern way: questions of servers to the client by `client-requests.ts`, list changes by
 * `shared-listens.ts`, resources by `subscriptions.ts`.
 */

import { createFault, type Fault } from "../../errors/fault.ts";
import { renderResult } from "../../errors/render.ts";
import type { CancelSignal } from "../../lib/cancellation.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Dispatch } from "../../pipeline/incoming.ts";
import { stringMember } from "../../protocol/json-view.ts";
import { logLevels } from "../../protocol/log-levels.ts";
import type { McpNotification, McpRequest } from "../../protocol/messages.ts";
import { type AnyMessage, withEnvelope } from "../../protocol/parse-message.ts";
import {
  type Asking,
  accepted,
  type Caller,
  type Conversation,
  cancelCall,
  ignore,
  malformed,
  neverAborts,
  type Received,
  type RelayText,
  type Spoken,
  toReply,
  type Ways,
} from "../conversation.ts";
import type { AgentsOptions } from "../options.ts";
import { createClientRequests } from "./client-requests.ts";
import { createListening } from "./listening.ts";
import type { LegacySession } from "./sessions.ts";
import { createSharedListens } from "./shared-listens.ts";
import { createSubscriptions } from "./subscriptions.ts";
import {
  type Handshake,
  readInitialize,
  sessionEnvelope,
  toInitializeResult,
} from "./to-modern.ts";

export interface Opened {
  readonly spoken: Spoken;
  /** Present where the handshake succeeded. */
  readonly handshake?: Handshake;
}

export interface LegacyConversation {
  /** A message within a session. */
  inSession(
    caller: Caller,
    session: LegacySession,
    received: Received<AnyMessage>,
    relay: RelayText,
  ): Promise<Spoken>;
  /** A request without a session, on the one endpoint that allows it. */
  alone(
    caller: Caller,
    received: Received<McpRequest>,
    relay: RelayText,
    signal: CancelSignal,
  ): Promise<Spoken>;
  /** Somebody reads what belongs to no request, where that begins later than the session. */
  heard(caller: Caller, session: LegacySession): void;
  /** `initialize`; opening the session is the binding's part. */
  initialize(caller: Caller, received: Received<McpRequest>): Promise<Opened>;
}

export function createLegacyConversation(deps: {
  readonly dispatch: Pick<Dispatch, "admit">;
  readonly conversation: Conversation;
  readonly options: AgentsOptions;
  readonly clock: Clock;
  readonly serverInfoText: string;
}): LegacyConversation {
  const { conversation, clock, serverInfoText } = deps;
  const era = "legacy";
  const clientRequests = createClientRequests(deps);
  const listening = createListening({ conversation, clock });
  const sharedListens = createSharedListens({ listening });
  const subscriptions = createSubscriptions({ ...deps.options, listening });

  function refuse(
    caller: Caller,
    received: Received<AnyMessage>,
    fault: Fault,
    session?: LegacySession,
  ): Promise<Spoken> {
    const message = malformed(received.message, fault);
    const asking = { caller, era, received: { message, bytes: received.bytes } } as const;
    return conversation.refuse(
      session === undefined ? asking : { ...asking, sessionId: session.publicId },
    );
  }

  async function requestInSession(asking: Asking<McpRequest>, session: LegacySession) {
    const { caller, received } = asking;
    const { message: request, bytes } = received;
    switch (request.method) {
      case "ping":
        return answerHere(request, "{}");
      case "logging/setLevel": {
        const level = request.params && stringMember(request.params, "level");
        if (!logLevels.some((known) => known === level)) {
          const text = `Invalid params: level must be one of ${logLevels.join(", ")}`;
          return refuse(caller, received, createFault("invalid-params", text), session);
        }
        session.logLevel = level;
        return answerHere(request, "{}");
      }
      case "initialize": {
        const fault = createFault("invalid-request", "Invalid request: already initialized");
        return refuse(caller, received, fault, session);
      }
      // No methods of the legacy revisions; a client that tries the newer one first learns here that this is none.
      case "server/discover":
      case "subscriptions/listen":
        return refuse(caller, received, methodNotFound, session);
      default: {
        const message = withEnvelope(request, sessionEnvelope(session));
        const question = { ...asking, received: { message, bytes } };
        return conversation.tracked(question, session.calls, waysOf(session, request.method));
      }
    }
  }

  function waysOf(session: LegacySession, method: string): Ways {
    if (subscriptionMethods.includes(method)) {
      return { run: (asking, signal) => subscriptions.change(session, asking, signal) };
    }
    return {
      resume: (asking, paused, signal) => clientRequests.resume(session, asking, paused, signal),
    };
  }

  /** On Streamable HTTP the stream for what belongs to no request comes after the handshake, if ever. */
  function follow(caller: Caller, session: LegacySession): void {
    if (session.isInitialized && session.isHeard) sharedListens.join(caller, session);
  }

  function notified(caller: Caller, session: LegacySession, message: McpNotification): Spoken {
    switch (message.method) {
      case "notifications/cancelled":
        cancelCall(session.calls, message.params);
        return accepted;
      case "notifications/initialized":
        session.isInitialized = true;
        follow(caller, session);
        return accepted;
      // Roots are asked for anew each time; questions have no progress token.
      default:
        return accepted;
    }
  }

  async function initialize(
    caller: Caller,
    received: Received<McpRequest>,
    canBeTold = true,
  ): Promise<Opened> {
    const { message: request, bytes } = received;
    const handshake = readInitialize(request);
    if ("fault" in handshake) return { spoken: await refuse(caller, received, handshake.fault) };
    // To everything inside this is a discovery like any other: authenticated, limited, recorded.
    const question = { message: handshake.discover, bytes };
    const asking = { caller, era, received: question, relay: ignore } as const;
    const reply = await conversation.run(asking, neverAborts);
    if (reply.outcome.kind !== "result") {
      const asked = { idText: request.idText, method: request.method, era } as const;
      return { spoken: conversation.render(asked, reply) };
    }
    const { revision } = handshake;
    const discovered = reply.outcome.result;
    const result = toInitializeResult(discovered, revision, serverInfoText, canBeTold);
    const text = renderResult(request.idText, result);
    return { spoken: { kind: "answer", text, status: 200, reply }, handshake };
  }

  /** Even this answer is for callers who may be here. */
  async function pingAlone(caller: Caller, request: McpRequest): Promise<Spoken> {
    const admitted = await deps.dispatch.admit(caller);
    if (!("fault" in admitted)) return answerHere(request, "{}");
    const asked = { idText: request.idText, method: request.method, era } as const;
    return conversation.render(asked, toReply(caller, admitted.fault));
  }

  return {
    async inSession(caller, session, received, relay) {
      const { message, bytes } = received;
      session.usedAtMs = clock.monotonicMs();
      if (session.caller !== undefined) session.caller = caller;
      switch (message.kind) {
        case "request": {
          const sessionId = session.publicId;
          const asking = { caller, era, received: { message, bytes }, relay, sessionId } as const;
          return requestInSession(asking, session);
        }
        case "malformed":
          return refuse(caller, received, message.fault, session);
        case "notification":
          return notified(caller, session, message);
        case "response":
          clientRequests.settle(session, message);
          return accepted;
        default:
          return message satisfies never;
      }
    },
    async alone(caller, received, relay, signal) {
      const { message: request } = received;
      if (request.method === "initialize") {
        return (await initialize(caller, received, false)).spoken;
      }
      if (request.method === "ping") return pingAlone(caller, request);
      if (request.method === "subscriptions/listen")
        return refuse(caller, received, methodNotFound);
      const reply = await conversation.run({ caller, era, received, relay }, signal);
      const asked = { idText: request.idText, method: request.method, era } as const;
      return conversation.render(asked, reply);
    },
    initialize,
    heard(caller, session) {
      session.isHeard = true;
      follow(caller, session);
    },
  };
}

const subscriptionMethods: readonly string[] = ["resources/subscribe", "resources/unsubscribe"];
const methodNotFound = createFault("method-not-found", "Method not found");

/** An answer that needs nobody else. */
export function answerHere(request: McpRequest, resultText: string): Spoken {
  const text = renderResult(request.idText, resultText);
  return { kind: "answer", text, status: 200, reply: undefined };
}
