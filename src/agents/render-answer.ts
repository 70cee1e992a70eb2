/**
 * An outcome as response text in the agent's era, and its HTTP status. Pure. Modern results get the members their
 * revision demands, legacy results lose what it does not know (`legacy/to-legacy.ts`); every other byte stays as it
 * came (PR-04).
 */
import { catalogue } from "../errors/catalogue.ts";
import type { Fault } from "../errors/fault.ts";
import { faultToErrorBody, httpStatusOf, renderErrorBody, renderResult } from "../errors/render.ts";
import type { Reply } from "../pipeline/incoming.ts";
import { isInputRequired } from "../protocol/input-required.ts";
import {
  arrayMember,
  findMember,
  type JsonObject,
  objectMember,
  objectText,
  readObject,
  replaceSpans,
  stringMember,
  withMembers,
} from "../protocol/json-view.ts";
import type { Outcome, RelayedMessage, ServerErrorBody } from "../protocol/messages.ts";
import { methodFacts } from "../protocol/methods.ts";
import type { Era, Revision } from "../protocol/revisions.ts";
import { type TellableOutcome, toLegacyError, toLegacyResult } from "./legacy/to-legacy.ts";

const serverInfoKey = "io.modelcontextprotocol/serverInfo";
/** In the modern era these two have their status wherever they arise, with the server too. */
const outOfBand = [catalogue["method-not-found"], catalogue["missing-client-capability"]];
const notFoundCode = { legacy: -32002, modern: -32602 } as const;

export interface Asked {
  readonly idText: string | undefined;
  readonly method: string;
  readonly era: Era;
  /** Of a legacy agent, where it has said; without it results are those of the newest legacy revision. */
  readonly revision?: Revision;
}

export function renderAnswer(
  asked: Asked,
  reply: Pick<Reply, "outcome" | "limit">,
  serverInfoText: string,
): string {
  const { outcome } = reply;
  switch (outcome.kind) {
    case "result": {
      if (asked.era === "legacy") {
        const told = callableTools(asked.method, outcome.result);
        return renderLegacy(asked, toLegacyResult(asked.method, told, asked.revision));
      }
      const text = modernResultText(asked.method, outcome.result, serverInfoText);
      return renderResult(asked.idText ?? "null", text);
    }
    case "error":
      return renderError(asked, outcome.error, false);
    case "fault": {
      const body = faultToErrorBody(outcome.fault, reply.limit);
      const isHidden = outcome.fault.name === "target-hidden";
      return renderError(asked, body, isHidden);
    }
    default:
      return outcome satisfies never;
  }
}

/** Our own faults have a status; what a server answered is in-band, but for the errors that the revision excepts. */
export function statusOf(outcome: Outcome, era: Era): number {
  if (outcome.kind === "fault") return faultStatus(outcome.fault, era);
  if (outcome.kind === "result" || era === "legacy") return 200;
  return outOfBand.find(({ code }) => code === outcome.error.code)?.http ?? 200;
}

/**
 * A legacy client reads 404 as the end of its session, so an unknown method stays in-band there; so does a missing
 * capability, which is told in other words.
 */
export function faultStatus(fault: Fault, era: Era): number {
  const isInBand = fault.name === "method-not-found" || fault.name === "missing-client-capability";
  return era === "legacy" && isInBand ? 200 : httpStatusOf(fault);
}

function renderError(asked: Asked, error: ServerErrorBody, isHidden: boolean): string {
  const body = eraError(asked, error, isHidden);
  // What was refused before it had a method is told as it is: the agent may be a modern one that forgot a header.
  if (asked.era === "modern" || asked.method === "") return renderErrorBody(asked.idText, body);
  return renderLegacy(asked, toLegacyError(asked.method, body));
}

function renderLegacy(asked: Asked, told: TellableOutcome): string {
  if (told.kind === "error") return renderErrorBody(asked.idText, told.error);
  return renderResult(asked.idText ?? "null", objectText(told.result));
}

export function renderRelayed(message: RelayedMessage): string {
  return `{"jsonrpc":"2.0","method":"${message.method}","params":${objectText(message.params)}}`;
}

/** Adds what is missing at the front of the object, so the result itself is not scanned again. */
export function modernResultText(
  method: string,
  given: JsonObject,
  serverInfoText: string,
): string {
  const result = withoutExecution(method, given, () => true);
  const has = (key: string) => findMember(result, key) !== undefined;
  const added: string[] = [];
  if (!has("resultType")) added.push('"resultType":"complete"');
  // A question is not yet the result that the hints are about.
  if (methodFacts(method, "modern")?.cacheable && !isInputRequired(result)) {
    if (!has("ttlMs")) added.push('"ttlMs":0');
    if (!has("cacheScope")) added.push('"cacheScope":"private"');
  }
  const meta = findMember(result, "_meta");
  const ownMeta = objectMember(result, "_meta");
  let text = objectText(result);
  if (meta === undefined) added.push(`"_meta":{"${serverInfoKey}":${serverInfoText}}`);
  else if (ownMeta !== undefined && findMember(ownMeta, serverInfoKey) === undefined) {
    const metaText = objectText(withMembers(ownMeta, { [serverInfoKey]: serverInfoText }));
    text =
      result.text.slice(result.start, meta.start) +
      metaText +
      result.text.slice(meta.end, result.end);
  }
  if (added.length === 0) return text;
  return `{${added.join(",")}${result.members.length === 0 ? "" : ","}${text.slice(1)}`;
}

/**
 * Tools that run as tasks alone are called like any other: the gateway offers no tasks of 2025-11-25 and drives them
 * itself. A client that read otherwise would not call them.
 */
function callableTools(method: string, result: JsonObject): JsonObject {
  if (method !== "tools/list" || !result.text.includes('"taskSupport"')) return result;
  return withoutExecution(method, result, (tool) => {
    const execution = objectMember(tool, "execution");
    return execution !== undefined && stringMember(execution, "taskSupport") === "required";
  });
}

/** `execution` is of the older revisions alone, on each tool of a list. */
function withoutExecution(
  method: string,
  result: JsonObject,
  isMeant: (tool: JsonObject) => boolean,
): JsonObject {
  const { text } = result;
  if (method !== "tools/list" || !text.includes('"execution"')) return result;
  const edits = (arrayMember(result, "tools") ?? []).flatMap((span) => {
    if (text[span.start] !== "{") return [];
    const tool = readObject(text, span.start);
    if (findMember(tool, "execution") === undefined || !isMeant(tool)) return [];
    return [{ span, by: objectText(withMembers(tool, { execution: undefined })) }];
  });
  return edits.length === 0 ? result : readObject(replaceSpans(text, edits), result.start);
}

/** "Resource not found" has one code in the legacy revisions and another in the modern ones. */
function eraError(asked: Asked, error: ServerErrorBody, isHidden: boolean): ServerErrorBody {
  if (asked.method !== "resources/read") return error;
  const isNotFound =
    error.code === notFoundCode.legacy ||
    (error.code === notFoundCode.modern && (isHidden || error.dataText?.includes('"uri"')));
  return isNotFound ? { ...error, code: notFoundCode[asked.era] } : error;
}
