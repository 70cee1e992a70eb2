/**
 * A server's questions put to a legacy agent. A call that pauses to ask (`input_required`) becomes real requests to
 * the client, on the stream its call came by; when all are answered the call is taken up again, as a request of its
 * own through dispatch, until a reply ends it. The agent sees one call with one answer (sections 2.6 and 4.3).
 */
import type { CancelSignal } from "../../lib/cancellation.ts";
import { newId } from "../../lib/id.ts";
import type { Reply } from "../../pipeline/incoming.ts";
import { canAsk, readClientFeatures } from "../../protocol/client-features.ts";
import { renderRefusal, withdrawalText } from "../../protocol/input-refusal.ts";
import { type InputRequest, readInputRequired } from "../../protocol/input-required.ts";
import {
  findMember,
  objectText,
  readObject,
  stringMember,
  withMembers,
} from "../../protocol/json-view.ts";
import type { McpRequest, McpResponse } from "../../protocol/messages.ts";
import type { Revision } from "../../protocol/revisions.ts";
import { type Asking, type Conversation, isPaused, neverAborts } from "../conversation.ts";
import type { AgentsOptions } from "../options.ts";
import { cannotAnswer } from "./to-legacy.ts";

/** A session whose client can be asked. */
export interface AskedSession {
  /** What the client said it can do, in modern form. */
  readonly capabilitiesText: string;
  /** What was asked of the client; undefined until something was. */
  questions: Questions | undefined;
}

/** The questions of one session. Ids are integers, since SDK clients read them as numbers, and never used twice. */
interface Questions {
  lastId: number;
  /** Takes the client's answer, by the source text of the question's id. */
  readonly open: Map<string, (response: McpResponse) => void>;
}

export interface ClientRequests {
  /** Asks what a paused call wants to know and takes it up again; resolves with the reply that ends the call. */
  resume(
    session: AskedSession,
    asking: Asking<McpRequest>,
    paused: Reply,
    signal: CancelSignal,
  ): Promise<Reply>;
  /** A response of the client; one to nothing that is open is ignored. */
  settle(session: AskedSession, response: McpResponse): void;
}

/** What all questions of a round came to. */
type Round =
  | {
      readonly kind: "answered";
      /** Source text of the `inputResponses` object; undefined where nothing was asked. */
      readonly responsesText: string | undefined;
      /** The URL elicitations the user agreed to. */
      readonly elicitationIds: readonly string[];
    }
  | { readonly kind: "stopped"; readonly why: string }
  | { readonly kind: "aborted" };

interface Question {
  readonly request: InputRequest;
  readonly elicitationId: string | undefined;
}

const roundsMax = 10;
/** Between two rounds of a server that asks nothing and only wants to be called again. */
const paceMs = 250;
const tooLate = '{"code":-1,"message":"No answer in time"}';

export function createClientRequests(deps: {
  readonly conversation: Pick<Conversation, "run">;
  readonly options: Pick<AgentsOptions, "questionsPerSessionMax" | "answerTimeoutMs">;
}): ClientRequests {
  const { conversation, options } = deps;

  async function askRound(
    session: AskedSession,
    asking: Asking<McpRequest>,
    requests: readonly InputRequest[],
    round: number,
    signal: CancelSignal,
  ): Promise<Round> {
    if (signal.aborted) return { kind: "aborted" };
    if (round > roundsMax) return stopped(`the server asked more than ${roundsMax} times`);
    if (requests.length === 0) return pause(signal);
    const features = readClientFeatures(session.capabilitiesText);
    const unable = requests.find(({ method, params }) => !canAsk(features, method, params));
    if (unable !== undefined) return stopped(`it did not declare what ${unable.method} needs`);
    session.questions ??= { lastId: 0, open: new Map() };
    if (session.questions.open.size + requests.length > options.questionsPerSessionMax) {
      return stopped(`at most ${options.questionsPerSessionMax} questions may be open`);
    }
    return askAll(asking, session.questions, requests, signal);
  }

  /** Resolves when all are answered, time is up, or the call is cancelled. */
  function askAll(
    asking: Asking<McpRequest>,
    questions: Questions,
    requests: readonly InputRequest[],
    signal: CancelSignal,
  ): Promise<Round> {
    const { promise, resolve } = Promise.withResolvers<Round>();
    const waiting = new Map<string, Question>();
    const answers = new Map<string, string>();
    const elicitationIds: string[] = [];

    function end(round: Round): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      for (const idText of waiting.keys()) {
        questions.open.delete(idText);
        asking.relay(cancelNotice(idText));
      }
      resolve(round);
    }

    function answered(): Round {
      const parts = requests.map((request) => {
        const answer = answers.get(request.key) ?? noAnswer(request, tooLate);
        return `${JSON.stringify(request.key)}:${answer}`;
      });
      return { kind: "answered", responsesText: `{${parts.join(",")}}`, elicitationIds };
    }

    function settle(idText: string, { request, elicitationId }: Question, response: McpResponse) {
      questions.open.delete(idText);
      waiting.delete(idText);
      const isAnswer = response.outcome === "result";
      const text = objectText(response.body);
      answers.set(request.key, isAnswer ? text : noAnswer(request, text));
      const isAgreed = isAnswer && stringMember(response.body, "action") === "accept";
      if (elicitationId !== undefined && isAgreed) elicitationIds.push(elicitationId);
      if (waiting.size === 0) end(answered());
    }

    const onAbort = () => end({ kind: "aborted" });
    const timer = setTimeout(() => end(answered()), options.answerTimeoutMs);
    signal.addEventListener("abort", onAbort);
    for (const request of requests) {
      questions.lastId += 1;
      const idText = String(questions.lastId);
      const elicitationId = isUrlElicitation(request) ? newId() : undefined;
      const question = { request, elicitationId };
      waiting.set(idText, question);
      questions.open.set(idText, (response) => settle(idText, question, response));
      const { revision } = asking.received.message.envelope;
      asking.relay(renderQuestion(idText, question, revision));
    }
    return promise;
  }

  /** Nobody will answer any more: a server that waits for it is told. */
  function withdraw(
    asking: Asking<McpRequest>,
    requests: readonly InputRequest[],
    requestState: string | undefined,
  ): void {
    const [first] = requests;
    if (first === undefined || requestState === undefined) return;
    const responsesText = `{${JSON.stringify(first.key)}:${withdrawalText}}`;
    void conversation.run(toRetry(asking, responsesText, requestState), neverAborts);
  }

  return {
    async resume(session, asking, paused, signal) {
      const { method } = asking.received.message;
      let reply = paused;
      for (let round = 1; ; round += 1) {
        if (!isPaused(reply) || reply.outcome.kind !== "result") return reply;
        const required = readInputRequired(reply.outcome.result);
        if (required === undefined) return stop(reply, method, "the server asks in no known form");
        const { requests, requestState } = required;
        const asked = await askRound(session, asking, requests, round, signal);
        if (asked.kind !== "answered") {
          withdraw(asking, requests, requestState);
          return asked.kind === "aborted" ? reply : stop(reply, method, asked.why);
        }
        reply = await conversation.run(toRetry(asking, asked.responsesText, requestState), signal);
        for (const id of asked.elicitationIds) asking.relay(completeNotice(id));
      }
    },
    settle(session, response) {
      if (response.idText !== undefined) session.questions?.open.get(response.idText)?.(response);
    },
  };
}

/** What stands for an answer where there is none: a form can be left, the others are refused with an error. */
function noAnswer({ method }: InputRequest, errorText: string): string {
  return method === "elicitation/create" ? '{"action":"cancel"}' : renderRefusal(errorText);
}

/** The original request again, with the answers and exactly the state this round gave. */
function toRetry(
  asking: Asking<McpRequest>,
  responsesText: string | undefined,
  requestState: string | undefined,
): Asking<McpRequest> {
  const { message, bytes } = asking.received;
  const params = withMembers(message.params ?? readObject("{}"), {
    inputResponses: responsesText,
    requestState: requestState === undefined ? undefined : JSON.stringify(requestState),
  });
  const answerBytes = responsesText === undefined ? 0 : Buffer.byteLength(responsesText);
  return {
    ...asking,
    received: { message: { ...message, params }, bytes: bytes + answerBytes },
  };
}

function stop(reply: Reply, method: string, why: string): Reply {
  return { ...reply, outcome: cannotAnswer(method, why) };
}

function stopped(why: string): Round {
  return { kind: "stopped", why };
}

/** Resolves after the pace, or as soon as the call is cancelled. */
function pause(signal: CancelSignal): Promise<Round> {
  const { promise, resolve } = Promise.withResolvers<Round>();
  const onAbort = () => {
    clearTimeout(timer);
    resolve({ kind: "aborted" });
  };
  const timer = setTimeout(() => {
    signal.removeEventListener("abort", onAbort);
    resolve({ kind: "answered", responsesText: undefined, elicitationIds: [] });
  }, paceMs);
  signal.addEventListener("abort", onAbort);
  return promise;
}

function isUrlElicitation({ method, params }: InputRequest): boolean {
  if (method !== "elicitation/create" || params === undefined) return false;
  return stringMember(params, "mode") === "url";
}

/** `elicitationId` is of 2025-11-25 alone, and so is `mode`: before it there was only the form. */
function renderQuestion(idText: string, question: Question, revision: Revision): string {
  const { request, elicitationId } = question;
  let { params } = request;
  if (params !== undefined && elicitationId !== undefined) {
    params = withMembers(params, { elicitationId: JSON.stringify(elicitationId) });
  } else if (params !== undefined && request.method === "elicitation/create") {
    const isModeNews = revision < "2025-11-25" && findMember(params, "mode") !== undefined;
    if (isModeNews) params = withMembers(params, { mode: undefined });
  }
  const paramsText = params === undefined ? "" : `,"params":${objectText(params)}`;
  return `{"jsonrpc":"2.0","id":${idText},"method":"${request.method}"${paramsText}}`;
}

function cancelNotice(idText: string): string {
  return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${idText}}}`;
}

function completeNotice(elicitationId: string): string {
  const params = JSON.stringify({ elicitationId });
  return `{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":${params}}`;
}
