/**
 * The WebSocket binding: one JSON-RPC message a text frame, subprotocol `mcp`, both eras on one socket. A request
 * with an envelope is modern; `initialize` opens a legacy session that lives as long as the socket. Admission comes
 * before the upgrade, every message is authorised on its own, and a lost socket cancels what it had in flight.
 */
import { catalogue } from "../errors/catalogue.ts";
import type { Clock } from "../lib/clock.ts";
import type { Dispatch } from "../pipeline/incoming.ts";
import { classifyBody } from "../protocol/classify.ts";
import type { McpRequest } from "../protocol/messages.ts";
import { type AnyMessage, parseMessage } from "../protocol/parse-message.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Admission } from "./admission.ts";
import type { Arrival } from "./arrival.ts";
import type { Beat } from "./beat.ts";
import {
  type Conversation,
  isUnauthenticated,
  malformed,
  neverAborts,
  type RelayText,
  type Spoken,
} from "./conversation.ts";
import { checkUpgrade, upgradeOffer } from "./framing.ts";
import { sessionsExhausted } from "./http-refusals.ts";
import { emptyResponse, faultResponse } from "./http-response.ts";
import { answerHere, type LegacyConversation } from "./legacy/conversation.ts";
import { keptFrom } from "./legacy/session-access.ts";
import type { Sessions } from "./legacy/sessions.ts";
import type { AgentsOptions } from "./options.ts";
import { createSendQueue, type SendQueueOptions } from "./send-queue.ts";
import { type Breach, binaryFrame, breachOf, closeCodes, tooManyPings } from "./socket-endings.ts";
import { drainingAnswer, initializeFirst, unaskedResponse } from "./socket-refusals.ts";
import { createSocketState, type SocketState } from "./socket-state.ts";

type Socket = Bun.ServerWebSocket<SocketState>;

export interface WebSocketBinding {
  /** The refusal, or undefined where the connection is a WebSocket from now on. */
  upgrade(arrival: Arrival, server: Bun.Server<SocketState>): Promise<Response | undefined>;
  readonly bunOptions: Bun.WebSocketHandler<SocketState>;
  /** Closes sockets whose credential no longer holds, and those that were open long enough. */
  sweep(): void;
  /** Closes sockets because the gateway goes away; with `onlyIdle`, those that wait for no answer. */
  leaveAll(onlyIdle?: boolean): void;
  size(): number;
}

const pingsPerBeatMax = 50;
/** The longest Bun takes. Sockets are pinged all the while, so only one whose peer is gone ever gets there. */
const idleSecondsMax = 960;
const backpressureBytes = 64 * 1024 * 1024;

export function createWebSocketBinding(deps: {
  readonly options: AgentsOptions;
  readonly dispatch: Dispatch;
  readonly conversation: Conversation;
  readonly legacy: LegacyConversation;
  readonly sessions: Sessions;
  readonly admission: Admission;
  readonly beat: Beat;
  readonly clock: Clock;
  readonly log: Pick<Log, "error">;
  readonly metrics: Pick<Metrics, "count">;
}): WebSocketBinding {
  const { options, dispatch, conversation, legacy, sessions, admission } = deps;
  const sockets = new Set<Socket>();
  const queueOptions: SendQueueOptions<Socket> = {
    clock: deps.clock,
    writeQueueBytesMax: options.writeQueueBytesMax,
    slowReaderMs: options.slowReaderMs,
    onTooSlow(socket) {
      deps.metrics.count("mcp_gateway_slow_consumers_total", { binding: "websocket" });
      socket.close(catalogue["client-too-slow"].close, "reading too slowly");
    },
  };
  deps.beat.join(() => {
    for (const { data: state } of sockets) {
      state.pings = 0;
      state.queue?.tick();
    }
  });

  async function upgrade(
    arrival: Arrival,
    server: Bun.Server<SocketState>,
  ): Promise<Response | undefined> {
    const { caller, request, metadataUrl } = arrival;
    const refusal = checkUpgrade(request);
    if (refusal !== undefined) return faultResponse(refusal, metadataUrl, upgradeOffer);
    const admitted = await dispatch.admit(caller);
    if ("fault" in admitted) return faultResponse(admitted.fault, metadataUrl);
    const offersProtocol = request.headers.has("sec-websocket-protocol");
    const isUpgraded = server.upgrade(request, {
      data: createSocketState(caller, admitted.principal, deps.clock.monotonicMs()),
      ...(offersProtocol ? { headers: { "sec-websocket-protocol": "mcp" } } : {}),
    });
    if (!isUpgraded) return emptyResponse(400);
    arrival.isHeld = true;
    return undefined;
  }

  function open(socket: Socket): void {
    const state = socket.data;
    sockets.add(socket);
    state.queue = createSendQueue(socket, queueOptions);
  }

  function close(socket: Socket, code: number, reason: string): void {
    const state = socket.data;
    const breach = breachOf(code, reason);
    if (breach !== undefined) record(socket, breach);
    sockets.delete(socket);
    // What is still answered has no reader: it must not count as a slow one.
    state.queue = undefined;
    admission.leave(state.caller.peer.address);
    state.inbox.length = 0;
    for (const call of state.calls.values()) call.abort();
    if (state.session === undefined) return;
    state.session.onEnd = undefined;
    sessions.end(state.session, "deleted");
  }

  /** What costs a socket is counted and recorded like a refused message, though nobody is answered (TW-02). */
  function record({ data: { caller } }: Socket, breach: Breach["fault"]): void {
    const received = { message: malformed(undefined, breach), bytes: 0 };
    void conversation.refuse({ caller, era: "modern", received });
  }

  function cut(socket: Socket, { code, words, fault }: Breach): void {
    socket.close(code, words);
    record(socket, fault);
  }

  function receive(socket: Socket, frame: string | Buffer): void {
    const state = socket.data;
    if (typeof frame !== "string") {
      cut(socket, binaryFrame);
      return;
    }
    state.inbox.push(frame);
    if (state.inbox.length >= options.wsInboxMax) socket.pause();
    if (!state.isServing) void serve(socket);
  }

  /** Takes frames in turn, at most 64 before other connections get theirs (TW-09). */
  async function serve(socket: Socket): Promise<void> {
    const state = socket.data;
    state.isServing = true;
    while (state.inbox.length > 0 && !isBusy(state)) {
      const frame = state.inbox.shift();
      if (frame !== undefined) void answer(socket, frame);
      const turn = state.yieldNow();
      if (turn !== undefined) await turn;
    }
    state.isServing = false;
    if (socket.isPaused && state.inbox.length === 0) socket.resume();
  }

  function isBusy({ pending, calls }: SocketState): boolean {
    const most = options.callsPerConnectionMax * 2;
    return pending >= most && pending - conversation.countLasting(calls) >= most;
  }

  async function answer(socket: Socket, frame: string): Promise<void> {
    const state = socket.data;
    state.pending += 1;
    try {
      const message = parseMessage(frame, options.scan);
      const relay = (text: string) => state.queue?.send(text);
      const spoken = await speak(socket, message, Buffer.byteLength(frame), relay);
      if (spoken.kind !== "answer") return;
      state.queue?.send(spoken.text);
      if (isUnauthenticated(spoken)) socket.close(closeCodes.revoked, "credential no longer valid");
    } catch (cause) {
      // A bug costs its socket, never the process.
      deps.log.error("agents.unexpected", { binding: "websocket", cause: String(cause) });
      socket.close(catalogue.internal.close, "internal error");
    } finally {
      state.pending -= 1;
      if (!state.isServing && state.inbox.length > 0) void serve(socket);
    }
  }

  function speak(
    socket: Socket,
    message: AnyMessage,
    bytes: number,
    relay: RelayText,
  ): Promise<Spoken> | Spoken {
    const { caller, session, calls } = socket.data;
    switch (message.kind) {
      case "malformed":
        return conversation.refuse({ caller, era: "legacy", received: { message, bytes } });
      case "request":
        return request(socket, message, bytes, relay);
      case "notification":
      case "response": {
        const received = { message, bytes };
        if (session !== undefined) return legacy.inSession(caller, session, received, relay);
        if (message.kind === "response") {
          const refused = { message: malformed(undefined, unaskedResponse), bytes };
          return conversation.refuse({ caller, era: "modern", received: refused });
        }
        const asking = { caller, era: "modern", received: { message, bytes }, relay } as const;
        return conversation.modern(asking, neverAborts, calls);
      }
      default:
        return message satisfies never;
    }
  }

  function request(
    socket: Socket,
    message: McpRequest,
    bytes: number,
    relay: RelayText,
  ): Promise<Spoken> | Spoken {
    const { caller, session, calls } = socket.data;
    if (admission.isDraining()) return drainingAnswer(message);
    const verdict = classifyBody(message);
    if (verdict.era === "refused") {
      const received = { message: malformed(message, verdict.fault), bytes };
      return conversation.refuse({ caller, era: "modern", received });
    }
    if (verdict.era === "modern") {
      const received = { message: verdict.request, bytes };
      const asking = { caller, era: "modern", received, relay } as const;
      return conversation.modern(asking, neverAborts, calls);
    }
    if (session !== undefined) {
      return legacy.inSession(caller, session, { message, bytes }, relay);
    }
    if (message.method === "initialize") return initialize(socket, message, bytes);
    if (message.method === "ping") return answerHere(message, "{}");
    const received = { message: malformed(message, initializeFirst), bytes };
    return conversation.refuse({ caller, era: "legacy", received });
  }

  async function initialize(socket: Socket, message: McpRequest, bytes: number): Promise<Spoken> {
    const { data: state } = socket;
    const { spoken, handshake } = await legacy.initialize(state.caller, { message, bytes });
    if (handshake === undefined || !sockets.has(socket)) return spoken;
    const session = sessions.open({
      ...handshake,
      binding: "websocket",
      scope: state.caller.scope,
      principal: state.principal,
      from: keptFrom(state.caller),
      calls: state.calls,
    });
    if (session === undefined) {
      const received = { message: malformed(message, sessionsExhausted(options)), bytes };
      return conversation.refuse({ caller: state.caller, era: "legacy", received });
    }
    state.session = session;
    session.onEnd = (why) => socket.close(closeCodes[why], why);
    session.tell = state.queue?.send;
    return spoken;
  }

  return {
    upgrade,
    bunOptions: {
      open,
      close,
      message: receive,
      drain: (socket) => socket.data.queue?.drain(),
      ping(socket) {
        socket.data.pings += 1;
        if (socket.data.pings > pingsPerBeatMax) cut(socket, tooManyPings);
      },
      maxPayloadLength: options.bodyBytesMax,
      // Never reached: our own queue stops sending at the first sign of backpressure.
      backpressureLimit: backpressureBytes,
      idleTimeout: Math.min(options.wsIdleSeconds, idleSecondsMax),
      sendPings: true,
      perMessageDeflate: false,
    },
    sweep() {
      for (const socket of sockets) {
        const ageMs = deps.clock.monotonicMs() - socket.data.openedAtMs;
        if (ageMs >= options.sessionMaxMs) {
          socket.close(closeCodes.expired, "open for too long: connect again");
          continue;
        }
        if (conversation.isValid(socket.data.principal, socket.data.caller)) continue;
        socket.close(closeCodes.revoked, "credential no longer valid");
      }
    },
    leaveAll(onlyIdle = false) {
      for (const socket of sockets) {
        if (onlyIdle && socket.data.pending > 0) continue;
        socket.close(closeCodes.draining, "going away");
      }
    },
    size: () => sockets.size,
  };
}
