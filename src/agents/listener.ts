/**
 * The one server agents talk to: front door (path, Host, Origin, credential, places), then the binding of the path.
 * Also its life: start, drain, stop, and the watch over credentials that stop holding while a connection is open.
 * Compose makes it; it knows no method and no policy.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { letWritesLeave } from "../lib/yielding.ts";
import type { BindingName, Dispatch } from "../pipeline/incoming.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { createAdmission } from "./admission.ts";
import type { Arrival } from "./arrival.ts";
import { createBeat } from "./beat.ts";
import { createConversation } from "./conversation.ts";
import { readCorrelation } from "./correlation.ts";
import { createDepartures } from "./departures.ts";
import { createFixedAnswers, type FixedAnswersDeps, notFound } from "./fixed-answers.ts";
import { checkFraming } from "./framing.ts";
import { addCors, faultResponse, preflightResponse } from "./http-response.ts";
import { createHttpSse } from "./http-sse.ts";
import { createLegacyConversation } from "./legacy/conversation.ts";
import { createSessionAccess } from "./legacy/session-access.ts";
import { createSessionStreams } from "./legacy/session-streams.ts";
import { createSessions, type SessionSummary } from "./legacy/sessions.ts";
import { publicBaseOf } from "./oauth-documents.ts";
import type { AgentsOptions } from "./options.ts";
import { createOriginCheck } from "./origin.ts";
import { type Endpoint, matchPath, metadataPathOf, readTarget } from "./paths.ts";
import { createPlace } from "./place.ts";
import { createPresenting, type Visitor } from "./presenting.ts";
import type { SocketState } from "./socket-state.ts";
import { createStreamableHttp, type HttpBinding } from "./streamable-http.ts";
import { createStreams } from "./streams.ts";
import { createTicketOffice } from "./ticket-office.ts";
import { createWebSocketBinding } from "./websocket.ts";

export interface AgentsListenerDeps extends FixedAnswersDeps {
  readonly options: AgentsOptions;
  readonly dispatch: Dispatch;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Calls back after each swap of the snapshot; returns a stop function. */
  readonly snapshotChanges: (changed: () => void) => () => void;
  readonly version: string;
}

export interface AgentsListener {
  start(): Promise<{ readonly url: string; readonly port: number }>;
  /** Takes no new work; resolves when calls in flight have ended, at the latest after `graceMs`. */
  drain(graceMs: number): Promise<void>;
  /** Closes every connection at once. */
  stop(): Promise<void>;
  /** Open requests, streams and sockets. */
  connections(): number;
  readonly sessions: {
    list(): readonly SessionSummary[];
    /** False where there is no such session. */
    end(id: string): boolean;
  };
}

type Server = Bun.Server<SocketState>;
type ScopedEndpoint = Extract<Endpoint, { readonly scope: string }>;

const bindingNames: Readonly<Record<ScopedEndpoint["kind"], BindingName>> = {
  http: "http",
  sse: "sse",
  websocket: "websocket",
  ticket: "websocket",
};
const idleTimeoutSecondsMax = 255;
/** For what is refused before it is known which endpoint it was meant for. */
const nowhere = () => "";

export function createAgentsListener(deps: AgentsListenerDeps): AgentsListener {
  const { options, dispatch, log, metrics, clock } = deps;
  const beat = createBeat();
  const admission = createAdmission(options);
  const sessions = createSessions({ ...options, clock });
  const serverInfoText = JSON.stringify({ name: "mcp-gateway", version: deps.version });
  const inner = { options, dispatch, admission, clock, log, serverInfoText };
  const conversation = createConversation({ ...options, ...inner });
  const legacy = createLegacyConversation({ ...inner, conversation });
  const access = createSessionAccess({ dispatch, sessions, conversation });
  const streams = createStreams({ options, clock, beat, admission, metrics });
  const departures = createDepartures(beat);
  const shared = { ...inner, conversation, legacy, sessions, access, streams, departures };
  const websocket = createWebSocketBinding({ ...shared, admission, beat, clock, metrics });
  const sessionStreams = createSessionStreams({ limits: options, clock, beat, streams, metrics });
  const ticketOffice = createTicketOffice({ dispatch, clock });
  const bindings: Readonly<Record<"http" | "sse" | "ticket", HttpBinding>> = {
    http: createStreamableHttp({ ...shared, sessionStreams }),
    sse: createHttpSse(shared),
    ticket: ticketOffice,
  };
  const originCheck = createOriginCheck(options);
  const place = createPlace(options);
  const presenting = createPresenting(options, place.front);
  const fixedAnswers = createFixedAnswers({ ...deps, admission });
  const publicBase = publicBaseOf(options.publicUrl);
  const scheme = options.tls === undefined ? "http" : "https";
  let server: Server | undefined;
  let stopWatching: (() => void) | undefined;

  function serve(request: Request, running: Server): Response | Promise<Response | undefined> {
    const { headers } = request;
    const origin = headers.get("origin");
    const target = readTarget(request.url);
    const endpoint = matchPath(target.path);
    const visitor = presenting.visitor(request, running);
    if (visitor.refusal !== undefined) return turnedAway(visitor, visitor.refusal, endpoint);
    const refusal = originCheck.check(headers.get("host"), origin) ?? checkFraming(request);
    if (refusal !== undefined) return refused(refusal, endpoint);
    const answering = route(request, running, visitor, endpoint, target.query, origin);
    // Only what goes to an allowed browser carries CORS headers; everybody else pays nothing for them.
    if (origin === null) return answering;
    return Promise.resolve(answering).then((answer) => answer && addCors(answer, origin));
  }

  function route(
    request: Request,
    running: Server,
    visitor: Visitor,
    endpoint: Endpoint | undefined,
    query: string,
    origin: string | null,
  ): Response | Promise<Response | undefined> {
    if (endpoint === undefined) return refused(notFound, undefined);
    if (request.method === "OPTIONS" && origin !== null) return preflightResponse();
    if (!("scope" in endpoint)) {
      const base = baseUrl(request);
      const answering = fixedAnswers(endpoint, request, query, visitor.address, base);
      return answering instanceof Promise
        ? answering.then((answer) => orRefused(answer, endpoint))
        : orRefused(answering, endpoint);
    }
    if (endpoint.kind === "sse" && !options.httpSse) return refused(notFound, undefined);
    return arrive(request, running, visitor, endpoint, query, origin ?? undefined);
  }

  function orRefused(answer: Response | Fault, endpoint: Endpoint): Response {
    return answer instanceof Response ? answer : refused(answer, endpoint);
  }

  function arrive(
    request: Request,
    running: Server,
    visitor: Visitor,
    endpoint: ScopedEndpoint,
    query: string,
    origin: string | undefined,
  ): Response | Promise<Response | undefined> {
    const { headers } = request;
    const url = () => baseUrl(request) + endpoint.path + (query === "" ? "" : `?${query}`);
    const presented = presenting.present(request, visitor, url, query);
    if ("name" in presented) return refused(presented, endpoint);
    const { credential, evidence } =
      endpoint.kind === "websocket"
        ? ticketOffice.exchange(presented, endpoint.scope, query, origin)
        : presented;
    const { requestId, traceparent, tracestate, baggage } = readCorrelation(headers);
    const { address } = visitor;
    const full = admission.enter(address);
    if (full !== undefined) return refused(full, endpoint);
    const arrival: Arrival = {
      request,
      caller: {
        binding: bindingNames[endpoint.kind],
        scope: endpoint.scope,
        credential,
        evidence,
        peer: { address },
        origin,
        requestId,
        traceparent,
        tracestate,
        baggage,
      },
      path: endpoint.path,
      query,
      metadataUrl: () => baseUrl(request) + metadataPathOf(endpoint.path),
      keepOpen: () => running.timeout(request, 0),
      isHeld: false,
    };
    return settle(arrival, bind(arrival, endpoint, running));
  }

  function bind(
    arrival: Arrival,
    endpoint: ScopedEndpoint,
    running: Server,
  ): Response | Promise<Response | undefined> {
    if (endpoint.kind === "websocket") return websocket.upgrade(arrival, running);
    return bindings[endpoint.kind].serve(arrival);
  }

  /** Gives the place back when the answer is there, unless a stream or socket has taken it over. */
  async function settle(
    arrival: Arrival,
    answering: Response | Promise<Response | undefined>,
  ): Promise<Response | undefined> {
    try {
      return await answering;
    } catch (cause) {
      log.error("agents.unexpected", { binding: arrival.caller.binding, cause: String(cause) });
      return faultResponse(createFault("internal", "Internal error"), arrival.metadataUrl);
    } finally {
      if (!arrival.isHeld) admission.leave(arrival.caller.peer.address);
    }
  }

  function refused(fault: Fault, endpoint: Endpoint | undefined): Response {
    const binding = endpoint !== undefined && "scope" in endpoint ? endpoint.kind : "none";
    metrics.count("mcp_gateway_rejected_total", { binding, error: fault.name });
    return faultResponse(fault, nowhere);
  }

  /** Counted and recorded, since nobody is going to be asked who they are. */
  function turnedAway(peer: Visitor, fault: Fault, endpoint: Endpoint | undefined): Response {
    const binding = endpoint && "scope" in endpoint ? bindingNames[endpoint.kind] : "http";
    dispatch.turnedAway({ binding, peer }, `${fault.name}:${fault.reason}`);
    return refused(fault, endpoint);
  }

  function baseUrl(request: Request): string {
    return publicBase ?? `${scheme}://${request.headers.get("host")}`;
  }

  function sweep(): void {
    sessions.sweep(conversation.isValid);
    websocket.sweep();
  }

  return {
    async start() {
      server = Bun.serve<SocketState>({
        ...place.serving,
        idleTimeout: Math.min(options.idleSeconds, idleTimeoutSecondsMax),
        // Bodies are bounded where they are read, with an answer that says so; this is the last resort.
        maxRequestBodySize: options.bodyBytesMax * 16,
        fetch: serve,
        error(cause) {
          log.error("agents.unexpected", { cause: String(cause) });
          return faultResponse(createFault("internal", "Internal error"), nowhere);
        },
        websocket: websocket.bunOptions,
      });
      beat.join(sweep);
      stopWatching = deps.snapshotChanges(sweep);
      metrics.gauge("mcp_gateway_sessions", () => sessions.size());
      metrics.gauge("mcp_gateway_connections", () => [
        { labels: { binding: "websocket" }, value: websocket.size() },
        { labels: { binding: "http" }, value: admission.open() - websocket.size() },
      ]);
      return place.open(server.port ?? options.port);
    },
    async drain(graceMs) {
      const drained = admission.drain();
      // They last for hours; their last word leaves before their connections close.
      dispatch.endListens();
      websocket.leaveAll(true);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, graceMs);
      });
      await Promise.race([drained, patience]);
      clearTimeout(timer);
      // The last answers are on their way, then what streams say last: let both leave before their sockets close.
      await letWritesLeave();
      sessions.endAll("draining");
      websocket.leaveAll();
      await letWritesLeave();
    },
    async stop() {
      stopWatching?.();
      beat.stop();
      dispatch.endListens();
      sessions.endAll("draining");
      websocket.leaveAll();
      await place.close();
      await server?.stop(true);
      server = undefined;
    },
    connections: admission.open,
    sessions: { list: sessions.list, end: sessions.endByPublicId },
  };
}
