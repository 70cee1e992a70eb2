/**
 * The error -32042 of revision 2025-11-25, by which a legacy server asks for URLs to be visited before it carries a
 * call out: as questions of the modern model. Nothing waits at the server, so the answer is the call made once more.
 * Pure.
 */
import { createFault } from "../../errors/fault.ts";
import type { ClientFeatures } from "../../protocol/client-features.ts";
import { readInputResponses, renderInputRequired } from "../../protocol/input-required.ts";
import {
  arrayMember,
  type JsonObject,
  readObject,
  stringMember,
} from "../../protocol/json-view.ts";
import type { McpRequest, Outcome, ServerErrorBody } from "../../protocol/messages.ts";
import { modernParams } from "./questions.ts";

export const urlRequiredCode = -32042;
/** Names no call: the retry is a call of its own. */
const againState = "url-visited";

/** What the agent gets for a server's -32042; undefined where its data names no URL. */
export function toUrlQuestions(
  error: ServerErrorBody,
  features: ClientFeatures,
): Outcome | undefined {
  const elicitations = readElicitations(error.dataText);
  if (elicitations.length === 0) return undefined;
  if (!features.elicitationUrl) {
    const fault = createFault(
      "missing-client-capability",
      "The server asks for a URL to be visited, which this client cannot show",
      { data: { requiredCapabilities: { elicitation: { url: {} } } } },
    );
    return { kind: "fault", fault };
  }
  const method = "elicitation/create" as const;
  const requests = elicitations.map((params, at) => ({
    key: `url${at + 1}`,
    method,
    paramsText: modernParams(params),
  }));
  return { kind: "result", result: renderInputRequired(requests, againState) };
}

/** Whether the state says that the call is to be made once more. */
export function isUrlRetry(state: string): boolean {
  return state === againState;
}

/** True where the user turned every URL down: the server would only ask again. */
export function isUrlRefused({ params }: McpRequest): boolean {
  const actions = [...readInputResponses(params).values()].map((one) =>
    stringMember(one, "action"),
  );
  return actions.length > 0 && !actions.includes("accept");
}

export const urlRefused: Outcome = Object.freeze({
  kind: "error",
  error: Object.freeze({
    code: -32603,
    message: "The server needs a URL to be visited first, which was declined",
    dataText: undefined,
  }),
});

function readElicitations(dataText: string | undefined): readonly JsonObject[] {
  if (dataText === undefined || !dataText.startsWith("{")) return [];
  return (arrayMember(readObject(dataText), "elicitations") ?? [])
    .filter(({ start }) => dataText[start] === "{")
    .map(({ start }) => readObject(dataText, start))
    .filter((one) => stringMember(one, "url") !== undefined);
}
