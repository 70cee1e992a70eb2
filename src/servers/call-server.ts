/**
 * Carries one request to one server: takes a link, writes the call in the link's era, and decides what an answer
 * means; a call that waits for its agent's answers is taken up again. `repeat.ts` says when a second try is allowed,
 * `server-client.ts` counts and limits the calls it makes here.
 */
import type { Clock } from "../lib/clock.ts";
import { type ClientFeatures, canAsk, noFeatures } from "../protocol/client-features.ts";
import { readInputRequired, readInputResponses } from "../protocol/input-required.ts";
import { type JsonObject, stringMember } from "../protocol/json-view.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../protocol/messages.ts";
import { toErrorBody } from "./answer.ts";
import type { CallContext } from "./client.ts";
import type { Connection, Link } from "./connection.ts";
import { faultOf, invalidAnswer } from "./faults.ts";
import { featuresOf, mayAsk, resultTypesOf } from "./features.ts";
import { addCallHeaders } from "./http.ts";
import { type Round, startLiveCall } from "./legacy/live-call.ts";
import { createLogLevels } from "./legacy/log-level.ts";
import type { ParkedCalls } from "./legacy/parked-calls.ts";
import { legacyHeaders } from "./legacy/session.ts";
import type { Session, SessionPool } from "./legacy/session-pool.ts";
import { modernError, renderLegacy } from "./legacy/to-legacy.ts";
import {
  isUrlRefused,
  isUrlRetry,
  toUrlQuestions,
  urlRefused,
  urlRequiredCode,
} from "./legacy/url-required.ts";
import { modernHeaders, renderModern } from "./modern.ts";
import { renderCancellation } from "./outgoing.ts";
import { type ParamHeader, paramHeaders } from "./param-headers.ts";
import { toRelayed } from "./relayed.ts";
import { whyAgain } from "./repeat.ts";
import type { ServerSpec } from "./spec.ts";
import type { WireAnswer, WireRequest } from "./wire.ts";

export interface CallerOptions {
  readonly spec: ServerSpec;
  readonly connection: Connection;
  readonly sessions: SessionPool;
  readonly parked: ParkedCalls;
  readonly tools: {
    readonly paramHeaders: (tool: string) => readonly ParamHeader[];
    /** Lists the tools again. */
    readonly refresh: (signal: AbortSignal) => Promise<void>;
  };
  readonly ownInfoText: string;
  readonly clock: Clock;
}

/** One request of an agent and how it is to be answered. */
interface Asked {
  readonly request: McpRequest;
  readonly context: CallContext;
  readonly relay: (message: RelayedMessage) => void;
}

/** How an attempt went, and where. */
interface Attempt {
  readonly link: Link;
  readonly connection: Connection;
  readonly answer: WireAnswer;
}

/** Never rejects. */
export type CallServer = (
  request: McpRequest,
  context: CallContext,
  relay: (message: RelayedMessage) => void,
) => Promise<Outcome>;

const unknownState: Outcome = Object.freeze({
  kind: "error",
  error: Object.freeze({
    code: -32602,
    message: "Invalid params: this requestState is unknown, expired or already used",
    dataText: undefined,
  }),
});

export function createCaller(options: CallerOptions): CallServer {
  const { spec, connection, sessions, parked, clock } = options;
  const { kind } = spec.transport;
  const isHttp = kind === "streamable-http";
  const hasHeaders = isHttp || kind === "http-sse";
  const logLevels = createLogLevels();

  async function call(
    request: McpRequest,
    context: CallContext,
    relay: (message: RelayedMessage) => void,
  ): Promise<Outcome> {
    const timeoutMs = Math.min(context.timeoutMs, spec.callTimeoutMs);
    const state = request.params && stringMember(request.params, "requestState");
    const waiting = state === undefined ? undefined : parked.take(state, context.principalId);
    if (waiting !== undefined) {
      const round = roundOf({ request, context, relay }, timeoutMs);
      const answer = await waiting.answered(readInputResponses(request.params), round);
      return toOutcome(waiting.link, request, answer);
    }
    const startedMs = clock.monotonicMs();
    let hasRelayed = false;
    const passOn = (message: RelayedMessage) => {
      hasRelayed = true;
      relay(message);
    };
    const asked: Asked = { request, context, relay: passOn };
    for (let isFirst = true; ; isFirst = false) {
      const leftMs = isFirst ? timeoutMs : timeoutMs - (clock.monotonicMs() - startedMs);
      let tried: Attempt | Outcome;
      try {
        tried = await attempt(asked, state, Math.max(1, leftMs));
      } catch (error) {
        const fault = faultOf(spec.name, error);
        if (!isFirst || fault.reason !== "not-a-legacy-server") return { kind: "fault", fault };
        // It was one when the era was found.
        const link = connection.current();
        if (link !== undefined) connection.drop(link, { forgetEra: true });
        continue;
      }
      if ("kind" in tried) return tried;
      const { link, answer } = tried;
      const again = isFirst && !hasRelayed ? whyAgain(spec, link, request, answer) : undefined;
      if (again === undefined) return toOutcome(link, request, answer);
      if (again === "headers") await options.tools.refresh(context.signal).catch(() => {});
      else if (again !== "harmless") tried.connection.drop(link, { forgetEra: again === "era" });
    }
  }

  /** Rejects with GatewayError where no link could be had. */
  async function attempt(
    asked: Asked,
    state: string | undefined,
    timeoutMs: number,
  ): Promise<Attempt | Outcome> {
    const { request, context } = asked;
    const link = connection.current() ?? (await connection.open(context.signal, timeoutMs));
    if (link.facts.era === "legacy") {
      if (state !== undefined && !isUrlRetry(state)) return unknownState;
      if (state !== undefined && isUrlRefused(request)) return urlRefused;
      const features = featuresOf(request);
      if (features !== noFeatures) return attemptAsking(asked, features, timeoutMs);
    }
    const raised = logLevels.need(link, request.envelope.logLevel);
    if (raised !== undefined) await raised;
    return { link, connection, answer: await send(link, asked, timeoutMs) };
  }

  /** The call of an agent that can be asked something, on a session that says so. */
  async function attemptAsking(
    asked: Asked,
    features: ClientFeatures,
    timeoutMs: number,
  ): Promise<Attempt> {
    const { request, context } = asked;
    const asksBack = mayAsk(request.method);
    const session = sessions.take(features, asksBack);
    let isHeldByCall = false;
    try {
      const link = await sessions.link(session, context.signal, timeoutMs);
      const raised = logLevels.need(link, request.envelope.logLevel);
      if (raised !== undefined) await raised;
      isHeldByCall = asksBack;
      const answer = asksBack
        ? await startCall(session, link, asked, features, timeoutMs)
        : await send(link, asked, timeoutMs);
      if (answer.kind !== "fault") session.connection.noteAnswer();
      return { link, connection: session.connection, answer };
    } finally {
      if (!isHeldByCall) sessions.release(session);
    }
  }

  function startCall(
    session: Session,
    link: Link,
    asked: Asked,
    features: ClientFeatures,
    timeoutMs: number,
  ): Promise<WireAnswer> {
    const call = startLiveCall({
      server: spec.name,
      link,
      features,
      request: wireRequest(link, asked),
      park: parked.park,
      onEnd(ended) {
        session.calls.delete(ended);
        sessions.release(session);
      },
    });
    session.calls.add(call);
    return call.round(roundOf(asked, timeoutMs));
  }

  function send(link: Link, asked: Asked, timeoutMs: number): Promise<WireAnswer> {
    const { request, context, relay } = asked;
    return link.wire.request({
      ...wireRequest(link, asked),
      signal: context.signal,
      timeoutMs,
      onNotification(notification) {
        const message = toRelayed(notification, request.envelope);
        if (message !== undefined) relay(message);
      },
    });
  }

  function wireRequest(
    { wire, facts }: Link,
    { request, context }: Asked,
  ): Omit<WireRequest, "signal" | "timeoutMs" | "onNotification"> {
    const id = wire.nextId();
    const isModern = facts.era === "modern";
    const headers: Record<string, string> = {};
    if (hasHeaders) {
      addCallHeaders(headers, context.headers);
      Object.assign(headers, isModern ? modernHeaders(request) : legacyHeaders(facts.revision));
      if (isModern && request.method === "tools/call") Object.assign(headers, mirrored(request));
    }
    return {
      id,
      method: request.method,
      text: isModern
        ? renderModern(request, id, options.ownInfoText, facts.capabilitiesText)
        : renderLegacy(request, id),
      headers,
      cancellation: isModern && isHttp ? undefined : renderCancellation(id),
      resultTypes: isModern ? resultTypesOf(request, facts.capabilitiesText) : undefined,
    };
  }

  function mirrored({ params }: McpRequest): Readonly<Record<string, string>> | undefined {
    const tool = params && stringMember(params, "name");
    if (tool === undefined || params === undefined) return undefined;
    const found = options.tools.paramHeaders(tool);
    return found.length === 0 ? undefined : paramHeaders(found, params);
  }

  function toOutcome({ facts }: Link, request: McpRequest, answer: WireAnswer): Outcome {
    switch (answer.kind) {
      case "result":
        if (facts.era === "modern") return checkQuestions(request, answer.body);
        return { kind: "result", result: answer.body };
      case "fault":
        return { kind: "fault", fault: answer.fault };
      case "error": {
        const error = toErrorBody(answer);
        if (facts.era === "legacy") {
          const questions =
            error.code === urlRequiredCode && mayAsk(request.method)
              ? toUrlQuestions(spec.name, error, featuresOf(request))
              : undefined;
          return questions ?? { kind: "error", error: modernError(error) };
        }
        // These two say that we wrote the request wrongly; the agent can do nothing about it.
        if (error.code !== -32020 && error.code !== -32022) return { kind: "error", error };
        return { kind: "fault", fault: invalidAnswer(spec.name, `refused-${error.code}`) };
      }
    }
  }

  /** A modern server's questions, which may only be such as the agent declared. */
  function checkQuestions(request: McpRequest, result: JsonObject): Outcome {
    if (stringMember(result, "resultType") !== "input_required") return { kind: "result", result };
    const asked = readInputRequired(result);
    const features = featuresOf(request);
    const isAllowed = asked?.requests.every((one) => canAsk(features, one.method, one.params));
    if (isAllowed === true) return { kind: "result", result };
    const reason = asked === undefined ? "input-required-shape" : "asked-undeclared";
    return { kind: "fault", fault: invalidAnswer(spec.name, reason) };
  }

  return call;
}

function roundOf({ request, context, relay }: Asked, timeoutMs: number): Round {
  const { signal, principalId } = context;
  return { envelope: request.envelope, principalId, signal, timeoutMs, relay };
}
