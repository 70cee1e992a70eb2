/**
 * The Streamable HTTP binding, both eras on one endpoint: sessions for 2025-03-26 to 2025-11-25 (POST, GET stream,
 * DELETE), stateless POST for 2026-07-28. The body's claim decides the era. What becomes of a session's streams when
 * their connections are lost is in `legacy/session-streams.ts`.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { Dispatch } from "../pipeline/incoming.ts";
import { classifyHttp } from "../protocol/classify.ts";
import type { McpRequest } from "../protocol/messages.ts";
import {
  type AnyMessage,
  decodeUtf8,
  isArrayText,
  parseMessage,
  splitBatch,
  undecodableMessage,
} from "../protocol/parse-message.ts";
import { type Era, isModernRevision } from "../protocol/revisions.ts";
import type { Log } from "../telemetry/log.ts";
import type { Arrival } from "./arrival.ts";
import { type Accepts, checkBodyHeaders, notAcceptable, readAccept, readBody } from "./body.ts";
import { type Conversation, malformed, type Spoken } from "./conversation.ts";
import type { Departures } from "./departures.ts";
import { noteBody } from "./evidence.ts";
import { answerCall, toResponse } from "./http-call.ts";
import {
  checkVersion,
  methodNotAllowed,
  sessionRequired,
  sessionsExhausted,
} from "./http-refusals.ts";
import { emptyResponse, faultResponse } from "./http-response.ts";
import type { LegacyConversation } from "./legacy/conversation.ts";
import { keptFrom, type SessionAccess } from "./legacy/session-access.ts";
import type { SessionStreams } from "./legacy/session-streams.ts";
import type { LegacySession, Sessions } from "./legacy/sessions.ts";
import type { AgentsOptions } from "./options.ts";
import type { Streams } from "./streams.ts";

export interface HttpBinding {
  serve(arrival: Arrival): Promise<Response> | Response;
}

export interface HttpBindingDeps {
  readonly options: AgentsOptions;
  readonly dispatch: Dispatch;
  readonly conversation: Conversation;
  readonly legacy: LegacyConversation;
  readonly sessions: Sessions;
  readonly access: SessionAccess;
  readonly streams: Streams;
  readonly departures: Departures;
  readonly log: Pick<Log, "error">;
}

export function createStreamableHttp(
  deps: HttpBindingDeps & { readonly sessionStreams: SessionStreams },
): HttpBinding {
  const { options, dispatch, conversation, legacy, sessions, access, sessionStreams } = deps;

  async function post(arrival: Arrival): Promise<Response> {
    const { request } = arrival;
    const { headers } = request;
    const accepts = readAccept(headers.get("accept"));
    const refusal =
      (accepts.json && accepts.stream ? undefined : notAcceptable) ?? checkBodyHeaders(headers);
    if (refusal !== undefined) return refuse(arrival, refusal, 0);
    const body = await readBody(request, options.bodyBytesMax);
    if ("fault" in body) return refuse(arrival, body.fault, body.size);
    noteBody(arrival.caller, body.bytes);
    const text = decodeUtf8(body.bytes);
    const bytes = body.bytes.byteLength;
    if (text !== undefined && isArrayText(text)) return postBatch(arrival, text, bytes, accepts);
    const message = text === undefined ? undecodableMessage : parseMessage(text, options.scan);
    return postMessage(arrival, message, bytes, accepts);
  }

  function postMessage(
    arrival: Arrival,
    message: AnyMessage,
    bytes: number,
    accepts: Accepts,
  ): Promise<Response> | Response {
    const { request, caller } = arrival;
    if (message.kind === "malformed") return refuse(arrival, message.fault, bytes, message);
    const verdict = classifyHttp(message, request.headers);
    switch (verdict.era) {
      case "refused":
        return refuse(arrival, verdict.fault, bytes, message);
      case "modern": {
        // Going away is how a modern agent cancels.
        const { cancellation, forget } = deps.departures.follow(arrival);
        return answerCall(
          {
            arrival,
            canStream: accepts.stream,
            openStream: (one) => deps.streams.openPlain(one, cancellation),
            onEnd: forget,
            work: (relay) =>
              conversation.modern(
                {
                  caller,
                  era: "modern",
                  received: { message: verdict.message, bytes },
                  relay,
                  mirrored: request.headers,
                },
                cancellation,
              ),
          },
          options.sseAfterMs,
        );
      }
      case "legacy":
        if (message.kind === "request" && message.method === "initialize") {
          return initialize(arrival, message, bytes);
        }
        return postInSession(arrival, message, bytes, accepts);
      default:
        return verdict satisfies never;
    }
  }

  /** Opens a session; the answer carries its id. */
  async function initialize(
    arrival: Arrival,
    request: McpRequest,
    bytes: number,
  ): Promise<Response> {
    const { caller } = arrival;
    if (arrival.request.headers.has("mcp-session-id")) {
      const fault = createFault(
        "invalid-request",
        "Invalid request: initialize opens a new session, so it carries no Mcp-Session-Id",
      );
      return refuse(arrival, fault, bytes, request);
    }
    arrival.keepOpen();
    const admitted = await dispatch.admit(caller);
    if ("fault" in admitted) {
      return faultResponse(admitted.fault, arrival.metadataUrl, {}, request.idText);
    }
    const { spoken, handshake } = await legacy.initialize(caller, {
      message: request,
      bytes,
    });
    const response = toResponse(spoken, arrival);
    if (handshake === undefined) return response;
    const session = sessions.open({
      ...handshake,
      binding: caller.binding,
      scope: caller.scope,
      principal: admitted.principal,
      from: keptFrom(caller),
    });
    if (session === undefined) return refuse(arrival, sessionsExhausted(options), bytes, request);
    sessionStreams.adopt(session);
    response.headers.set("mcp-session-id", session.id);
    return response;
  }

  async function postInSession(
    arrival: Arrival,
    message: AnyMessage,
    bytes: number,
    accepts: Accepts,
  ): Promise<Response> {
    const session = await sessionOf(arrival, bytes, message);
    if (session instanceof Response) return session;
    const { caller } = arrival;
    return answerCall(
      {
        arrival,
        canStream: accepts.stream,
        openStream: () => sessionStreams.openCall(session, arrival),
        // Losing the connection is no cancellation: the call goes on, and its stream waits for a reader.
        work: (relay) => legacy.inSession(caller, session, { message, bytes }, relay),
      },
      options.sseAfterMs,
    );
  }

  /** Batches exist in 2025-03-26 alone: each message is decided on its own, answers come as one array (AZ-19). */
  async function postBatch(
    arrival: Arrival,
    text: string,
    bytes: number,
    accepts: Accepts,
  ): Promise<Response> {
    const whole = () => {
      const message = parseMessage(text, options.scan);
      return postMessage(arrival, message, bytes, accepts);
    };
    if (!arrival.request.headers.has("mcp-session-id")) return whole();
    const session = await sessionOf(arrival, bytes, undefined);
    if (session instanceof Response) return session;
    if (session.revision !== "2025-03-26") return whole();
    const batch = splitBatch(text, options.scan, options.batchMessagesMax);
    if ("fault" in batch) return refuse(arrival, batch.fault, bytes);
    const { caller } = arrival;
    const messages = batch.texts.map((one) => parseMessage(one, options.scan));
    const work = (relay: (text: string) => void): Promise<readonly Spoken[]> =>
      Promise.all(
        messages.map((message, at) =>
          legacy.inSession(
            caller,
            session,
            { message, bytes: batch.texts[at]?.length ?? 0 },
            relay,
          ),
        ),
      );
    const openStream = () => sessionStreams.openCall(session, arrival);
    return answerCall({ arrival, canStream: accepts.stream, openStream, work }, options.sseAfterMs);
  }

  /** The caller's session, or the response that says why there is none. */
  async function sessionOf(
    arrival: Arrival,
    bytes: number,
    message: AnyMessage | undefined,
  ): Promise<LegacySession | Response> {
    const { headers } = arrival.request;
    const id = headers.get("mcp-session-id");
    if (id === null) return refuse(arrival, sessionRequired, bytes, message);
    const versionFault = checkVersion(headers.get("mcp-protocol-version"));
    if (versionFault !== undefined) return refuse(arrival, versionFault, bytes, message);
    const found = await access.find(arrival.caller, id);
    if ("session" in found) return found.session;
    if (found.isRecorded) {
      const { idText } = malformed(message, found.fault);
      return faultResponse(found.fault, arrival.metadataUrl, {}, idText);
    }
    return refuse(arrival, found.fault, bytes, message);
  }

  /** The session's own stream, for what belongs to no request, or one that is resumed. */
  async function get(arrival: Arrival): Promise<Response> {
    const session = await streamSessionOf(arrival);
    if (session instanceof Response) return session;
    if (readAccept(arrival.request.headers.get("accept")).stream) {
      legacy.heard(arrival.caller, session);
      return sessionStreams.get(session, arrival);
    }
    const text = "Not acceptable: Accept must allow text/event-stream";
    return faultResponse(createFault("not-acceptable", text), arrival.metadataUrl);
  }

  async function remove(arrival: Arrival): Promise<Response> {
    const session = await streamSessionOf(arrival);
    if (session instanceof Response) return session;
    sessions.end(session, "deleted");
    return emptyResponse(204);
  }

  /** GET and DELETE belong to sessions: modern agents have neither (PR-18). */
  async function streamSessionOf(arrival: Arrival): Promise<LegacySession | Response> {
    const version = arrival.request.headers.get("mcp-protocol-version")?.trim();
    if (version !== undefined && isModernRevision(version)) return methodNotAllowed(arrival);
    return sessionOf(arrival, 0, undefined);
  }

  async function refuse(
    arrival: Arrival,
    fault: Fault,
    bytes: number,
    message?: AnyMessage,
  ): Promise<Response> {
    const era = claimedEra(arrival);
    const received = { message: malformed(message, fault), bytes };
    const spoken = await conversation.refuse({ caller: arrival.caller, era, received });
    const response = toResponse(spoken, arrival);
    // What is left of a body that is too large is not read.
    if (fault.name === "payload-too-large") response.headers.set("connection", "close");
    return response;
  }

  return {
    serve(arrival) {
      switch (arrival.request.method) {
        case "POST":
          return post(arrival);
        case "GET":
          return get(arrival);
        case "DELETE":
          return remove(arrival);
        default:
          return methodNotAllowed(arrival);
      }
    },
  };
}

function claimedEra(arrival: Arrival): Era {
  const version = arrival.request.headers.get("mcp-protocol-version")?.trim();
  return version !== undefined && isModernRevision(version) ? "modern" : "legacy";
}
