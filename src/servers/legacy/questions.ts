/**
 * What a legacy server asks of the agent's side, judged and put into the words of the modern model: which requests are
 * questions an agent may see, which are answered here, and how a question ends that nobody answered. Pure.
 */

import { renderErrorBody } from "../../errors/render.ts";
import { type ClientFeatures, canAsk } from "../../protocol/client-features.ts";
import { readRefusal } from "../../protocol/input-refusal.ts";
import { isInputMethod } from "../../protocol/input-required.ts";
import { findMember, type JsonObject, objectText, withMembers } from "../../protocol/json-view.ts";
import type { McpRequest } from "../../protocol/messages.ts";
import { relatedTask, withoutRelatedTask, withRelatedTask } from "./task-messages.ts";

const methodNotFound = -32601;
const invalidParams = -32602;
/** What the specification names for a user who refuses to sample. */
const userRejected = -1;

/** The answer to a request that no agent may see, as a whole message; undefined for a question that one may. */
export function answerUnasked(request: McpRequest, features: ClientFeatures): string | undefined {
  const { method, params } = request;
  if (method === "ping") return renderResult(request, "{}");
  if (!isInputMethod(method)) return renderError(request, methodNotFound, "Method not found");
  if (canAsk(features, method, params)) return undefined;
  // Known, but not in this mode or with these parts.
  const isKnown = features.elicitationForm || features.elicitationUrl;
  if (method === "elicitation/create" && isKnown) {
    return renderError(request, invalidParams, "The client did not declare this elicitation mode");
  }
  if (method === "sampling/createMessage" && features.sampling) {
    return renderError(request, invalidParams, "The client did not declare tools in sampling");
  }
  return renderError(request, methodNotFound, "The client did not declare this capability");
}

/** The answer to a question that belongs to no call an agent waits for. */
export function answerHomeless(request: McpRequest): string {
  if (request.method === "roots/list") return renderResult(request, '{"roots":[]}');
  return renderError(request, methodNotFound, "No call in progress that this question belongs to");
}

/** The answer to a question whose time is over, in the server's own terms. */
export function answerUnanswered(request: McpRequest): string {
  switch (request.method) {
    case "elicitation/create":
      return renderResult(request, '{"action":"cancel"}');
    case "sampling/createMessage":
      return renderError(request, userRejected, "No answer in time");
    default:
      return renderError(request, methodNotFound, "No answer in time");
  }
}

/** The agent's own words, byte for byte; its refusal as the error it is. */
export function answerWith(request: McpRequest, response: JsonObject): string {
  const refusal = readRefusal(response);
  if (refusal !== undefined) return renderErrorBody(request.idText, refusal);
  const taskId = relatedTask(request.params);
  const answer = taskId === undefined ? response : withRelatedTask(response, taskId);
  return renderResult(request, objectText(answer));
}

/**
 * A question's params in the modern form, which knows no `elicitationId` and no tasks of 2025-11-25. Who asks is named
 * further on its way.
 */
export function modernParams(params: JsonObject | undefined): string | undefined {
  if (params === undefined) return undefined;
  const own = withoutRelatedTask(params);
  if (findMember(own, "elicitationId") === undefined) return objectText(own);
  return objectText(withMembers(own, { elicitationId: undefined }));
}

function renderResult({ idText }: McpRequest, resultText: string): string {
  return `{"jsonrpc":"2.0","id":${idText},"result":${resultText}}`;
}

function renderError({ idText }: McpRequest, code: number, message: string): string {
  return `{"jsonrpc":"2.0","id":${idText},"error":{"code":${code},"message":"${message}"}}`;
}
