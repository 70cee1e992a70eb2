/**
 * Carries one request to one server: takes a link, writes the call in the link's era, and decides what an answer
 * means; a call that waits for its agent's answers is taken up again. `repeat.ts` says when a second try is allowed,
 * `server-client.ts` counts and limits the calls it makes here.
 */
import type { CancelSignal } from "../lib/cancellation.ts";
import type { Clock } from "../lib/clock.ts";
import { allFeatures, type ClientFeatures, noFeatures } from "../protocol/client-features.ts";
import { findRefusal } from "../protocol/input-refusal.ts";
import { askingMethods, readInputResponses } from "../protocol/input-required.ts";
import { stringMember } from "../protocol/json-view.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../protocol/messages.ts";
import type { ParamHeader } from "../protocol/param-headers.ts";
import { toErrorBody } from "./answer.ts";
import type { CallContext } from "./client.ts";
import type { Connection, Link } from "./connection.ts";
import { failed, faultOf, invalidAnswer, unanswered } from "./faults.ts";
import { featuresOf } from "./features.ts";
import { type AsTaskDeps, asTask } from "./legacy/as-task.ts";
import type { HeldTasks } from "./legacy/held-tasks.ts";
import { type Round, startLiveCall } from "./legacy/live-call.ts";
import { createLogLevels } from "./legacy/log-level.ts";
import type { ParkedCalls } from "./legacy/parked-calls.ts";
import type { Session, SessionPool } from "./legacy/session-pool.ts";
import type { TaskCall } from "./legacy/task-call.ts";
import { taskIdOf, taskParamText } from "./legacy/task-messages.ts";
import { modernError } from "./legacy/to-legacy.ts";
import {
  isUrlRefused,
  isUrlRetry,
  toUrlQuestions,
  urlRefused,
  urlRequiredCode,
} from "./legacy/url-required.ts";
import { toRelayed } from "./relayed.ts";
import { whyAgain } from "./repeat.ts";
import type { ServerSpec } from "./spec.ts";
import type { WireAnswer } from "./wire.ts";
import { createCallWriter } from "./write-call.ts";

export interface CallerOptions {
  readonly spec: ServerSpec;
  readonly connection: Connection;
  readonly sessions: SessionPool;
  readonly parked: ParkedCalls;
  readonly tasks: HeldTasks;
  readonly questionWindowMs: number;
  readonly tools: {
    readonly paramHeaders: (tool: string) => readonly ParamHeader[];
    readonly needsTask: AsTaskDeps["needsTask"];
    /** Lists the tools again. */
    readonly refresh: (signal: CancelSignal) => Promise<void>;
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

/** Where a request goes: the server's one link, or a session for what its agent can be asked. */
interface Place {
  readonly link: Link;
  readonly connection: Connection;
  readonly features: ClientFeatures;
  readonly session: Session | undefined;
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
  const { spec, connection, sessions, parked, tasks, clock } = options;
  const isProcess = spec.transport.kind === "stdio";
  const { paramHeaders } = options.tools;
  const writeCall = createCallWriter({ spec, ownInfoText: options.ownInfoText, paramHeaders });
  const { needsTask } = options.tools;
  const taskDeps = { server: spec.name, tasks, needsTask, clock };
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
    const refusal = findRefusal(request.params);
    if (refusal !== undefined) return { kind: "fault", fault: unanswered(spec.name, refusal) };
    const startedMs = clock.monotonicMs();
    let hasRelayed = false;
    const passOn = (message: RelayedMessage) => {
      hasRelayed = true;
      relay(message);
    };
    const asked: Asked = { request, context, relay: passOn };
    const isAboutTask = request.method.startsWith("tasks/");
    for (let isFirst = true; ; isFirst = false) {
      const leftMs = isFirst ? timeoutMs : timeoutMs - (clock.monotonicMs() - startedMs);
      let place = (isAboutTask ? homeOf(request) : undefined) ?? placeAtHand(request);
      if (place === undefined) {
        try {
          place = await findPlace(request, context, Math.max(1, leftMs));
        } catch (error) {
          const fault = faultOf(spec.name, error);
          if (!isFirst || fault.reason !== "not-a-legacy-server") return { kind: "fault", fault };
          // It was one when the era was found.
          const link = connection.current();
          if (link !== undefined) connection.drop(link, { forgetEra: true });
          continue;
        }
      }
      const { link } = place;
      if (state !== undefined && link.facts.era === "legacy") {
        const ended = endOfState(state, request);
        if (ended !== undefined) {
          if (place.session !== undefined) sessions.release(place.session);
          return ended;
        }
      }
      const raised = logLevels.need(link, request.envelope.logLevel);
      if (raised !== undefined) await raised;
      const answer = await sendTo(place, asked, Math.max(1, leftMs));
      if (answer.kind !== "fault") place.connection.noteAnswer();
      const again = isFirst && !hasRelayed ? whyAgain(spec, link, request, answer) : undefined;
      if (again === undefined) {
        if (!isAboutTask || link.facts.era === "modern") return toOutcome(link, request, answer);
        const restMs = Math.max(1, timeoutMs - (clock.monotonicMs() - startedMs));
        return tasks.tell(request, link, answer, { signal: context.signal, timeoutMs: restMs });
      }
      if (again === "headers") await options.tools.refresh(context.signal).catch(() => {});
      else if (again !== "harmless") {
        place.connection.drop(link, { forgetEra: again === "era" });
        tasks.lost(link);
      }
    }
  }

  /** The open link, where a request needs no session for what its agent can be asked: most calls. */
  function placeAtHand(request: McpRequest): Place | undefined {
    const link = connection.current();
    if (link === undefined || needsSession(link, request)) return undefined;
    return { link, connection, features: noFeatures, session: undefined };
  }

  function needsSession({ facts }: Link, request: McpRequest): boolean {
    return facts.era === "legacy" && (isProcess || featuresOf(request) !== noFeatures);
  }

  /** Where a legacy server's task lives, as far as that is known. */
  function homeOf(request: McpRequest): Place | undefined {
    const home = tasks.homeOf(taskIdOf(request));
    if (home === undefined) return undefined;
    if (home.link.wire.isOpen()) return { ...home, features: noFeatures, session: undefined };
    tasks.lost(home.link);
    return undefined;
  }

  /** Connects where needed. Rejects with GatewayError. */
  async function findPlace(
    request: McpRequest,
    { signal }: CallContext,
    timeoutMs: number,
  ): Promise<Place> {
    const link = connection.current() ?? (await connection.open(signal, timeoutMs));
    if (!needsSession(link, request)) {
      return { link, connection, features: noFeatures, session: undefined };
    }
    const features = featuresOf(request);
    const declared = isProcess ? allFeatures : features;
    const session = sessions.take(declared, askingMethods.has(request.method));
    try {
      const own = await sessions.link(session, signal, timeoutMs);
      return { link: own, connection: session.connection, features, session };
    } catch (error) {
      sessions.release(session);
      throw error;
    }
  }

  /** How a legacy server's call ends whose state names nothing that waits; undefined for one to be made again. */
  function endOfState(state: string, request: McpRequest): Outcome | undefined {
    if (!isUrlRetry(state)) return unknownState;
    return isUrlRefused(request) ? urlRefused : undefined;
  }

  function sendTo(place: Place, asked: Asked, timeoutMs: number): Promise<WireAnswer> {
    const { link, session } = place;
    const task = asTask(taskDeps, place, asked.request, asked.context);
    if (task !== undefined && !("perform" in task)) {
      if (session !== undefined) sessions.release(session);
      return Promise.resolve(failed(task, false));
    }
    if (session === undefined) return send(link, asked, task, timeoutMs);
    if (askingMethods.has(asked.request.method)) {
      return startCall(session, place, asked, task, timeoutMs);
    }
    return send(link, asked, task, timeoutMs).finally(() => sessions.release(session));
  }

  function startCall(
    session: Session,
    { link, features }: Place,
    asked: Asked,
    task: TaskCall | undefined,
    timeoutMs: number,
  ): Promise<WireAnswer> {
    const call = startLiveCall({
      server: spec.name,
      link,
      features,
      windowMs: options.questionWindowMs,
      request: written(link, asked, task),
      task,
      park: parked.park,
      onEnd(ended) {
        session.calls.delete(ended);
        sessions.release(session);
      },
    });
    session.calls.add(call);
    return call.round(roundOf(asked, timeoutMs));
  }

  function written(link: Link, { request, context }: Asked, task: TaskCall | undefined) {
    return writeCall(link, request, context, task && taskParamText);
  }

  function send(
    link: Link,
    asked: Asked,
    task: TaskCall | undefined,
    timeoutMs: number,
  ): Promise<WireAnswer> {
    const { request, context, relay } = asked;
    const perform = task?.perform ?? link.wire.request;
    return perform({
      ...written(link, asked, task),
      signal: context.signal,
      timeoutMs,
      onNotification(notification) {
        const message = toRelayed(notification, request.envelope);
        if (message !== undefined) relay(message);
      },
    });
  }

  function toOutcome({ facts }: Link, request: McpRequest, answer: WireAnswer): Outcome {
    switch (answer.kind) {
      case "result":
        return { kind: "result", result: answer.body };
      case "fault":
        return { kind: "fault", fault: answer.fault };
      case "error": {
        const error = toErrorBody(answer);
        if (facts.era === "legacy") {
          const questions =
            error.code === urlRequiredCode && askingMethods.has(request.method)
              ? toUrlQuestions(error, featuresOf(request))
              : undefined;
          return questions ?? { kind: "error", error: modernError(error) };
        }
        // These two say that we wrote the request wrongly; the agent can do nothing about it.
        if (error.code !== -32020 && error.code !== -32022) return { kind: "error", error };
        return { kind: "fault", fault: invalidAnswer(spec.name, `refused-${error.code}`) };
      }
    }
  }

  return call;
}

function roundOf({ request, context, relay }: Asked, timeoutMs: number): Round {
  const { signal, principalId } = context;
  return { envelope: request.envelope, principalId, signal, timeoutMs, relay };
}
