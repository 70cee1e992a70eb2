/**
 * Multi-round-trip requests (revision 2026-07-28, section 2.6): a result that asks the agent's side something before the
 * call can go on, and the answers in the request that takes the call up again. Inside the gateway every question of a
 * server has this form, whatever era either side speaks. Pure.
 */
import {
  findMember,
  type JsonObject,
  memberText,
  objectMember,
  readObject,
  replaceSpans,
  stringMember,
} from "./json-view.ts";

/** What a server may ask the agent's side. */
export const inputMethods = ["elicitation/create", "sampling/createMessage", "roots/list"] as const;
export type InputMethod = (typeof inputMethods)[number];

/** The requests that may lead to questions. */
export const askingMethods: ReadonlySet<string> = new Set([
  "tools/call",
  "prompts/get",
  "resources/read",
]);

export interface InputRequest {
  /** The server's name for the question, unique within its result; the answer comes under the same name. */
  readonly key: string;
  readonly method: InputMethod;
  readonly params: JsonObject | undefined;
}

export interface InputRequired {
  readonly requests: readonly InputRequest[];
  /** What the next round must bring back byte for byte; undefined where the server gave none. */
  readonly requestState: string | undefined;
}

export function isInputMethod(method: string): method is InputMethod {
  return (inputMethods as readonly string[]).includes(method);
}

/** True for a result that is a question and not yet the end of its call. */
export function isInputRequired(result: JsonObject): boolean {
  return stringMember(result, "resultType") === "input_required";
}

/** The questions of an `input_required` result; undefined where it breaks the revision's rules. */
export function readInputRequired(result: JsonObject): InputRequired | undefined {
  const requestState = stringMember(result, "requestState");
  const hasRequests = memberText(result, "inputRequests") !== undefined;
  const map = objectMember(result, "inputRequests");
  if (hasRequests && map === undefined) return undefined;
  if (memberText(result, "requestState") !== undefined && requestState === undefined)
    return undefined;
  const requests: InputRequest[] = [];
  for (const { key } of map?.members ?? []) {
    const entry = map && objectMember(map, key);
    const method = entry && stringMember(entry, "method");
    if (entry === undefined || method === undefined || !isInputMethod(method)) return undefined;
    requests.push({ key, method, params: objectMember(entry, "params") });
  }
  if (requests.length === 0 && requestState === undefined) return undefined;
  return { requests, requestState };
}

/** The answers a request brings, by the server's names; none where it brings none. */
export function readInputResponses(
  params: JsonObject | undefined,
): ReadonlyMap<string, JsonObject> {
  const map = params && objectMember(params, "inputResponses");
  const responses = new Map<string, JsonObject>();
  for (const { key } of map?.members ?? []) {
    const response = map && objectMember(map, key);
    if (response !== undefined) responses.set(key, response);
  }
  return responses;
}

/**
 * The result with its server named before each elicitation's message, so that whoever answers knows who asks. What
 * already begins with the name stays; every other character does too. `server` is a registered name.
 */
export function nameAsker(result: JsonObject, server: string): JsonObject {
  const prefix = `[${server}] `;
  const edits: { span: { start: number; end: number }; by: string }[] = [];
  const map = objectMember(result, "inputRequests");
  for (const { key } of map?.members ?? []) {
    const entry = map && objectMember(map, key);
    if (entry === undefined || stringMember(entry, "method") !== "elicitation/create") continue;
    const params = objectMember(entry, "params");
    const at = params && findMember(params, "message")?.start;
    const message = params && stringMember(params, "message");
    if (at === undefined || message === undefined || message.startsWith(prefix)) continue;
    edits.push({ span: { start: at + 1, end: at + 1 }, by: prefix });
  }
  if (edits.length === 0) return result;
  return readObject(replaceSpans(result.text, edits), result.start);
}

/** An `input_required` result of our own making; `paramsText` is source text. */
export function renderInputRequired(
  requests: readonly {
    readonly key: string;
    readonly method: InputMethod;
    readonly paramsText: string | undefined;
  }[],
  requestState: string | undefined,
): JsonObject {
  const entries = requests.map(({ key, method, paramsText }) => {
    const params = paramsText === undefined ? "" : `,"params":${paramsText}`;
    return `${JSON.stringify(key)}:{"method":"${method}"${params}}`;
  });
  const map = entries.length === 0 ? "" : `,"inputRequests":{${entries.join(",")}}`;
  const state = requestState === undefined ? "" : `,"requestState":${JSON.stringify(requestState)}`;
  return readObject(`{"resultType":"input_required"${map}${state}}`);
}
