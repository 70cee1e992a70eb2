/**
 * One call to a legacy server that may pause for questions: it lives over as many requests of the agent as it takes,
 * one round each. A round ends with the server's answer, or with the questions that came within a short window of each
 * other. `parked-calls.ts` keeps the call between its rounds; time limits and cancellation of a round are here.
 */

import type { Fault } from "../../errors/fault.ts";
import { Cancellation, type CancelSignal } from "../../lib/cancellation.ts";
import type { ClientFeatures } from "../../protocol/client-features.ts";
import { isWithdrawal } from "../../protocol/input-refusal.ts";
import { type InputMethod, renderInputRequired } from "../../protocol/input-required.ts";
import type { JsonObject } from "../../protocol/json-view.ts";
import type { Envelope, McpNotification, RelayedMessage } from "../../protocol/messages.ts";
import type { Link, ServerRequest } from "../connection.ts";
import { cancelled, failed, invalidAnswer, timedOut } from "../faults.ts";
import { toRelayed } from "../relayed.ts";
import type { WireAnswer, WireRequest } from "../wire.ts";
import { answerUnanswered, answerUnasked, answerWith, modernParams } from "./questions.ts";
import type { TaskCall } from "./task-call.ts";

/** As many as the pipeline's resume stage lets through, so that no call stays behind unseen. */
const roundsMax = 8;
const openQuestionsMax = 32;
/** Progress and log messages kept between two rounds; the oldest go first. */
const keptMessagesMax = 64;

/** One request of the agent that waits for the call. */
export interface Round {
  readonly envelope: Envelope;
  readonly principalId: string | undefined;
  readonly signal: CancelSignal;
  readonly timeoutMs: number;
  readonly relay: (message: RelayedMessage) => void;
}

/** What takes the questions of a server on one session. */
export interface Asking {
  readonly link: Link;
  /** Whether a question is its own: by the request on whose stream it came, or by the task it names. */
  owns(callId: number | undefined, taskId: string | undefined): boolean;
  ask(asked: ServerRequest): void;
  /** The server takes a question back. */
  withdraw(idText: string): void;
}

export interface LiveCall extends Asking {
  /** Waits for the answer or the next questions; never rejects. */
  round(round: Round): Promise<WireAnswer>;
  /** A round that brings the agent's words; what is still open is asked again. */
  answered(responses: ReadonlyMap<string, JsonObject>, round: Round): Promise<WireAnswer>;
  /** Nobody answers any more: says so to the server, and takes the call back. */
  giveUp(): void;
}

export interface LiveCallOptions {
  readonly server: string;
  readonly link: Link;
  readonly features: ClientFeatures;
  /** Questions that come within this time of the first are shown together. */
  readonly windowMs: number;
  readonly request: Omit<WireRequest, "signal" | "timeoutMs" | "onNotification">;
  /** Carries the call out where it is more than one request. */
  readonly task: TaskCall | undefined;
  /** Keeps the call until its agent is back; the state that names it, or why it cannot be kept. */
  readonly park: (call: LiveCall, principalId: string | undefined) => string | Fault;
  readonly onEnd: (call: LiveCall) => void;
}

interface Question {
  readonly key: string;
  readonly asked: ServerRequest;
  isShown: boolean;
}

interface Waiting {
  readonly round: Round;
  readonly settle: (answer: WireAnswer) => void;
}

/** Sends the call; the first round must begin at once. */
export function startLiveCall(options: LiveCallOptions): LiveCall {
  const { server, link, features } = options;
  const ending = new Cancellation();
  const questions = new Map<string, Question>();
  const kept: McpNotification[] = [];
  let waiting: Waiting | undefined;
  let answer: WireAnswer | undefined;
  let window: ReturnType<typeof setTimeout> | undefined;
  let rounds = 0;
  let asked = 0;

  function finish(final: WireAnswer): void {
    if (answer !== undefined) return;
    answer = final;
    clearTimeout(window);
    questions.clear();
    options.onEnd(call);
    waiting?.settle(final);
  }

  /** Ends the call here and at the server; the round that waits gets the fault. */
  function abandon(fault: Fault): void {
    finish(failed(fault, true));
    ending.abort();
  }

  function round(next: Round): Promise<WireAnswer> {
    if (answer !== undefined) {
      for (const message of kept.splice(0)) pass(message, next);
      return Promise.resolve(answer);
    }
    return new Promise((resolve) => {
      const { signal, timeoutMs } = next;
      const leave = () => abandon(cancelled);
      const timer = setTimeout(() => abandon(timedOut(server, timeoutMs)), timeoutMs);
      waiting = {
        round: next,
        settle(settled) {
          waiting = undefined;
          clearTimeout(timer);
          signal.removeEventListener("abort", leave);
          resolve(settled);
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      for (const message of kept.splice(0)) pass(message, next);
      if (questions.size > 0) openWindow();
      if (signal.aborted) leave();
    });
  }

  function takeNotification(notification: McpNotification): void {
    if (waiting !== undefined) {
      pass(notification, waiting.round);
      return;
    }
    kept.push(notification);
    if (kept.length > keptMessagesMax) kept.shift();
  }

  function openWindow(): void {
    window ??= setTimeout(show, options.windowMs);
  }

  /** Ends the round with every open question. */
  function show(): void {
    window = undefined;
    if (waiting === undefined || questions.size === 0) return;
    rounds += 1;
    if (rounds > roundsMax) {
      refuseAll();
      abandon(invalidAnswer(server, "too-many-rounds"));
      return;
    }
    const state = options.park(call, waiting.round.principalId);
    if (typeof state !== "string") {
      refuseAll();
      abandon(state);
      return;
    }
    const shown = [...questions.values()].map((question) => {
      question.isShown = true;
      const { params } = question.asked.request;
      const method = question.asked.request.method as InputMethod;
      return { key: question.key, method, paramsText: modernParams(params) };
    });
    waiting.settle({ kind: "result", body: renderInputRequired(shown, state) });
  }

  function refuseAll(): void {
    for (const { asked: one } of questions.values()) one.respond(answerUnanswered(one.request));
    questions.clear();
  }

  const call: LiveCall = {
    link,
    owns(callId, taskId) {
      if (options.task !== undefined) return options.task.owns(callId, taskId);
      return callId === undefined ? taskId === undefined : callId === options.request.id;
    },
    round,
    answered(responses, next) {
      if ([...responses.values()].some(isWithdrawal)) call.giveUp();
      for (const [idText, { key, asked: one, isShown }] of questions) {
        const response = isShown ? responses.get(key) : undefined;
        if (response === undefined) continue;
        questions.delete(idText);
        one.respond(answerWith(one.request, response));
      }
      return round(next);
    },
    ask(one) {
      const refusal = answerUnasked(one.request, features);
      if (refusal !== undefined) one.respond(refusal);
      else if (questions.size >= openQuestionsMax) one.respond(answerUnanswered(one.request));
      else if (answer === undefined) {
        asked += 1;
        questions.set(one.request.idText, { key: `q${asked}`, asked: one, isShown: false });
        if (waiting !== undefined) openWindow();
      }
    },
    withdraw: (idText) => void questions.delete(idText),
    giveUp() {
      refuseAll();
      abandon(cancelled);
    },
  };

  const perform = options.task?.perform ?? link.wire.request;
  void perform({
    ...options.request,
    signal: ending.signal,
    timeoutMs: undefined,
    onNotification: takeNotification,
  }).then(finish);
  return call;
}

function pass(notification: McpNotification, { envelope, relay }: Round): void {
  const message = toRelayed(notification, envelope);
  if (message !== undefined) relay(message);
}
