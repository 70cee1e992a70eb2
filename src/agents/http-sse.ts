/**
 * The HTTP+SSE binding of 2024-11-05. GET opens the stream, whose first event names where to post; what is posted
 * there is answered on the stream. A POST without a session takes one message and answers it directly, as JSON or
 * as an event stream (requirements, part 21, item 9). The stream is the session: both end together.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import { classifyHttp } from "../protocol/classify.ts";
import { renderEvent } from "../protocol/event-stream.ts";
import {
  type AnyMessage,
  decodeUtf8,
  parseMessage,
  undecodableMessage,
} from "../protocol/parse-message.ts";
import type { Arrival } from "./arrival.ts";
import { checkBodyHeaders, readAccept, readBody } from "./body.ts";
import { type Caller, malformed, type RelayText, type Spoken } from "./conversation.ts";
import { noteBody } from "./evidence.ts";
import { answerCall, toResponse } from "./http-call.ts";
import { methodNotAllowed, sessionsExhausted } from "./http-refusals.ts";
import { emptyResponse, faultResponse, streamResponse } from "./http-response.ts";
import { keptFrom } from "./legacy/session-access.ts";
import type { LegacySession } from "./legacy/sessions.ts";
import type { HttpBinding, HttpBindingDeps } from "./streamable-http.ts";

export function createHttpSse(deps: HttpBindingDeps): HttpBinding {
  const { options, dispatch, conversation, legacy, sessions, access, streams, departures } = deps;

  async function get(arrival: Arrival): Promise<Response> {
    const { caller, metadataUrl } = arrival;
    const admitted = await dispatch.admit(caller);
    if ("fault" in admitted) return faultResponse(admitted.fault, metadataUrl);
    if (!readAccept(arrival.request.headers.get("accept")).stream) {
      const text = "Not acceptable: Accept must allow text/event-stream";
      return faultResponse(createFault("not-acceptable", text), metadataUrl);
    }
    const session = sessions.open({
      binding: "sse",
      scope: caller.scope,
      revision: "2024-11-05",
      clientInfoText: undefined,
      capabilitiesText: "{}",
      principal: admitted.principal,
      from: keptFrom(caller),
    });
    if (session === undefined) return faultResponse(sessionsExhausted(options), metadataUrl);
    const channel = streams.open(arrival, () => {
      sessions.end(session, "deleted");
    });
    session.onEnd = () => channel.end();
    session.tell = (message) => channel.push(renderEvent({ type: "message", text: message }));
    channel.push(
      renderEvent({ type: "endpoint", text: `${arrival.path}?sessionId=${session.id}` }),
    );
    return streamResponse(channel.stream);
  }

  async function post(arrival: Arrival): Promise<Response> {
    const refusal = checkBodyHeaders(arrival.request.headers);
    if (refusal !== undefined) return refuse(arrival, refusal, 0);
    const body = await readBody(arrival.request, options.bodyBytesMax);
    if ("fault" in body) return refuse(arrival, body.fault, body.size);
    noteBody(arrival.caller, body.bytes);
    const text = decodeUtf8(body.bytes);
    const message = text === undefined ? undecodableMessage : parseMessage(text, options.scan);
    const bytes = body.bytes.byteLength;
    const sessionId = sessionIdIn(arrival.query);
    if (sessionId === undefined) return postAlone(arrival, message, bytes);
    return postInSession(arrival, sessionId, message, bytes);
  }

  /** Answered on the stream; the POST itself only says that the message was taken. */
  async function postInSession(
    arrival: Arrival,
    sessionId: string,
    message: AnyMessage,
    bytes: number,
  ): Promise<Response> {
    const { caller, metadataUrl } = arrival;
    const found = await access.find(caller, sessionId);
    if ("fault" in found) {
      if (found.isRecorded) {
        const { idText } = malformed(message, found.fault);
        return faultResponse(found.fault, metadataUrl, {}, idText);
      }
      return refuse(arrival, found.fault, bytes, message);
    }
    if (message.kind === "malformed") return refuse(arrival, message.fault, bytes, message);
    const { session } = found;
    void answerOnStream(caller, session, message, bytes);
    return emptyResponse(202);
  }

  async function answerOnStream(
    caller: Caller,
    session: LegacySession,
    message: AnyMessage,
    bytes: number,
  ): Promise<void> {
    const tell = (text: string) => session.tell?.(text);
    try {
      const spoken = await speak(caller, session, message, bytes, tell);
      if (spoken.kind === "answer") tell(spoken.text);
    } catch (cause) {
      // A bug costs its session, never the process.
      deps.log.error("agents.unexpected", { binding: "sse", cause: String(cause) });
      sessions.end(session, "deleted");
    }
  }

  async function speak(
    caller: Caller,
    session: LegacySession,
    message: AnyMessage,
    bytes: number,
    relay: RelayText,
  ): Promise<Spoken> {
    const isOpening = message.kind === "request" && message.method === "initialize";
    // The placeholder client info stands until the handshake: a session is opened once.
    if (!isOpening || session.clientInfoText !== undefined) {
      return legacy.inSession(caller, session, { message, bytes }, relay);
    }
    const { spoken, handshake } = await legacy.initialize(caller, { message, bytes });
    if (handshake !== undefined) {
      session.revision = handshake.revision;
      session.clientInfoText = handshake.clientInfoText;
      session.capabilitiesText = handshake.capabilitiesText;
    }
    return spoken;
  }

  /** One message, no session: each stands for itself. */
  async function postAlone(
    arrival: Arrival,
    message: AnyMessage,
    bytes: number,
  ): Promise<Response> {
    const { caller, request } = arrival;
    if (message.kind === "malformed") return refuse(arrival, message.fault, bytes, message);
    const accepts = readAccept(request.headers.get("accept"));
    if (!accepts.json && !accepts.stream) {
      const text = "Not acceptable: Accept must allow application/json or text/event-stream";
      return refuse(arrival, createFault("not-acceptable", text), bytes, message);
    }
    const verdict = classifyHttp(message, request.headers);
    if (verdict.era === "refused") return refuse(arrival, verdict.fault, bytes, message);
    const { cancellation, forget } = departures.follow(arrival);
    const work = async (relay: RelayText): Promise<Spoken> => {
      if (verdict.era === "modern") {
        const received = { message: verdict.message, bytes };
        return conversation.modern({ caller, era: "modern", received, relay }, cancellation);
      }
      if (message.kind !== "request") return { kind: "accepted" };
      return legacy.alone(caller, { message, bytes }, relay, cancellation);
    };
    return answerCall(
      {
        arrival,
        canStream: accepts.stream,
        streamOnly: !accepts.json,
        openStream: (one) => streams.openPlain(one, cancellation),
        onEnd: forget,
        work,
      },
      options.sseAfterMs,
    );
  }

  async function refuse(
    arrival: Arrival,
    fault: Fault,
    bytes: number,
    message?: AnyMessage,
  ): Promise<Response> {
    const received = { message: malformed(message, fault), bytes };
    return toResponse(
      await conversation.refuse({ caller: arrival.caller, era: "legacy", received }),
      arrival,
    );
  }

  return {
    serve(arrival) {
      switch (arrival.request.method) {
        case "POST":
          return post(arrival);
        case "GET":
          return get(arrival);
        default:
          return methodNotAllowed(arrival, "GET, POST");
      }
    },
  };
}

/** The session id of a POST; an empty one is an unknown session, not a missing one. */
function sessionIdIn(query: string): string | undefined {
  return new URLSearchParams(query).get("sessionId") ?? undefined;
}
