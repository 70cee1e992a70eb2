/**
 * An outcome as response text in the agent's era, and its HTTP status. Pure. Modern results get the members their
 * revision demands, legacy results lose those it does not know; every other byte stays as it came (PR-04).
 */
import { catalogue } from "../errors/catalogue.ts";
import type { Fault } from "../errors/fault.ts";
import { faultToErrorBody, httpStatusOf, renderErrorBody, renderResult } from "../errors/render.ts";
import type { Reply } from "../pipeline/incoming.ts";
import { isInputRequired } from "../protocol/input-required.ts";
import {
  findMember,
  type JsonObject,
  objectMember,
  objectText,
  withMembers,
} from "../protocol/json-view.ts";
import type { Outcome, RelayedMessage, ServerErrorBody } from "../protocol/messages.ts";
import { methodFacts } from "../protocol/methods.ts";
import type { Era } from "../protocol/revisions.ts";

const serverInfoKey = "io.modelcontextprotocol/serverInfo";
const modernMembers = ["resultType", "ttlMs", "cacheScope"] as const;
/** In the modern era these two have their status wherever they arise, with the server too. */
const outOfBand = [catalogue["method-not-found"], catalogue["missing-client-capability"]];
const notFoundCode = { legacy: -32002, modern: -32602 } as const;

export interface Asked {
  readonly idText: string | undefined;
  readonly method: string;
  readonly era: Era;
}

export function renderAnswer(
  asked: Asked,
  reply: Pick<Reply, "outcome" | "limit">,
  serverInfoText: string,
): string {
  const { outcome } = reply;
  switch (outcome.kind) {
    case "result": {
      const text =
        asked.era === "modern"
          ? modernResultText(asked.method, outcome.result, serverInfoText)
          : legacyResultText(outcome.result);
      return renderResult(asked.idText ?? "null", text);
    }
    case "error":
      return renderErrorBody(asked.idText, eraError(asked, outcome.error, false));
    case "fault": {
      const body = faultToErrorBody(outcome.fault, reply.limit);
      const isHidden = outcome.fault.name === "target-hidden";
      return renderErrorBody(asked.idText, eraError(asked, body, isHidden));
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

/** A legacy client reads 404 as the end of its session, so an unknown method stays in-band there. */
export function faultStatus(fault: Fault, era: Era): number {
  if (era === "legacy" && fault.name === "method-not-found") return 200;
  return httpStatusOf(fault);
}

export function renderRelayed(message: RelayedMessage): string {
  return `{"jsonrpc":"2.0","method":"${message.method}","params":${objectText(message.params)}}`;
}

/** Adds what is missing at the front of the object, so the result itself is not scanned again. */
export function modernResultText(
  method: string,
  result: JsonObject,
  serverInfoText: string,
): string {
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

export function legacyResultText(result: JsonObject): string {
  const changes: Record<string, string | undefined> = {};
  for (const key of modernMembers) if (findMember(result, key)) changes[key] = undefined;
  const meta = objectMember(result, "_meta");
  if (meta !== undefined && findMember(meta, serverInfoKey) !== undefined) {
    const rest = withMembers(meta, { [serverInfoKey]: undefined });
    changes._meta = rest.members.length === 0 ? undefined : objectText(rest);
  }
  if (Object.keys(changes).length === 0) return objectText(result);
  return objectText(withMembers(result, changes));
}

/** "Resource not found" has one code in the legacy revisions and another in the modern ones. */
function eraError(asked: Asked, error: ServerErrorBody, isHidden: boolean): ServerErrorBody {
  if (asked.method !== "resources/read") return error;
  const isNotFound =
    error.code === notFoundCode.legacy ||
    (error.code === notFoundCode.modern && (isHidden || error.dataText?.includes('"uri"')));
  return isNotFound ? { ...error, code: notFoundCode[asked.era] } : error;
}
