/**
 * What a legacy server asks of the agent's side, judged and put into the words of the modern model: which requests are
 * questions an agent may see, which are answered here, and how a question ends that nobody answered. Pure.
 */
import { type ClientFeatures, canAsk } from "../../protocol/client-features.ts";
import { type InputMethod, isInputMethod } from "../../protocol/input-required.ts";
import {
  type JsonObject,
  objectMember,
  objectText,
  readObject,
  stringMember,
  withMembers,
} from "../../protocol/json-view.ts";
import type { McpRequest } from "../../protocol/messages.ts";

/** Vendor key in a question's `_meta`: the registered name of the server that asks. */
export const askedByKey = "mcp-gateway/server";

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

/** The agent's own words, byte for byte. */
export function answerWith(request: McpRequest, response: JsonObject): string {
  return renderResult(request, objectText(response));
}

/**
 * A question's params as an agent must see them: an elicitation names the server that asks, since the agent's user
 * sees only the gateway, and has no `elicitationId`, which the modern form does not know. Sampling stays untouched.
 */
export function shownParams(
  server: string,
  method: InputMethod,
  params: JsonObject | undefined,
): string | undefined {
  if (params === undefined) return undefined;
  if (method !== "elicitation/create") return objectText(params);
  const message = stringMember(params, "message");
  const meta = objectMember(params, "_meta") ?? readObject("{}");
  const named = withMembers(meta, { [askedByKey]: JSON.stringify(server) });
  return objectText(
    withMembers(params, {
      ...(message !== undefined && { message: JSON.stringify(`[${server}] ${message}`) }),
      elicitationId: undefined,
      _meta: objectText(named),
    }),
  );
}

function renderResult({ idText }: McpRequest, resultText: string): string {
  return `{"jsonrpc":"2.0","id":${idText},"result":${resultText}}`;
}

function renderError({ idText }: McpRequest, code: number, message: string): string {
  return `{"jsonrpc":"2.0","id":${idText},"error":{"code":${code},"message":"${message}"}}`;
}
