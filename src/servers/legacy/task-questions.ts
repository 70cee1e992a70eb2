/**
 * The questions of one task of a legacy server while an agent asks for that task: shown under keys that are never used
 * twice for it, answered when the agent says so, given up when nobody can any more.
 */
import type { CancelSignal } from "../../lib/cancellation.ts";
import type { ClientFeatures } from "../../protocol/client-features.ts";
import { type InputMethod, renderInputRequired } from "../../protocol/input-required.ts";
import { type JsonObject, memberText } from "../../protocol/json-view.ts";
import type { Link, ServerRequest } from "../connection.ts";
import type { Asking } from "./live-call.ts";
import { answerUnanswered, answerUnasked, answerWith, modernParams } from "./questions.ts";

export interface TaskQuestions extends Asking {
  /** Questions on the stream of this request are the task's, whether they name it or not. */
  listenOn(callId: number): void;
  /** Resolves when there is a question, or it makes no sense to wait for one. */
  first(wait: { readonly signal: CancelSignal; readonly timeoutMs: number }): Promise<void>;
  wake(): void;
  /** Source text of `inputRequests`. */
  render(): string;
  answer(responses: ReadonlyMap<string, JsonObject>): void;
  /** Nobody answers any more. */
  giveUp(): void;
}

/** A server that says it waits puts its question at once when its client comes for it. */
const firstWaitMs = 1_000;
const openMax = 32;

interface Open {
  readonly key: string;
  readonly asked: ServerRequest;
}

export function createTaskQuestions(
  taskId: string,
  { link, features }: { readonly link: Link; readonly features: ClientFeatures },
): TaskQuestions {
  const open = new Map<string, Open>();
  const waiting = new Set<() => void>();
  let ownCall: number | undefined;
  let count = 0;

  function wake(): void {
    for (const one of waiting) one();
    waiting.clear();
  }

  return {
    link,
    owns(callId, named) {
      if (named !== undefined) return named === taskId;
      return callId !== undefined && callId === ownCall;
    },
    listenOn(callId) {
      ownCall = callId;
    },
    ask(one) {
      const refusal = answerUnasked(one.request, features);
      if (refusal !== undefined) one.respond(refusal);
      else if (open.size >= openMax) one.respond(answerUnanswered(one.request));
      else {
        count += 1;
        open.set(one.request.idText, { key: `q${count}`, asked: one });
        wake();
      }
    },
    withdraw: (idText) => void open.delete(idText),
    async first({ signal, timeoutMs }) {
      if (open.size > 0 || signal.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, Math.min(firstWaitMs, timeoutMs));
      waiting.add(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
      await promise;
      waiting.delete(resolve);
      clearTimeout(timer);
    },
    wake,
    render() {
      const shown = [...open.values()].map(({ key, asked: { request } }) => ({
        key,
        method: request.method as InputMethod,
        paramsText: modernParams(request.params),
      }));
      return memberText(renderInputRequired(shown, ""), "inputRequests") ?? "{}";
    },
    answer(responses) {
      for (const [idText, { key, asked }] of open) {
        const response = responses.get(key);
        if (response === undefined) continue;
        open.delete(idText);
        asked.respond(answerWith(asked.request, response));
      }
    },
    giveUp() {
      for (const { asked } of open.values()) asked.respond(answerUnanswered(asked.request));
      open.clear();
      wake();
    },
  };
}
