/**
 * Finds out which era a server speaks, by `server/discover` (reference section 2.11). Only a discover result or a
 * version error counts as modern; refusals of the caller, failures of the server and lost connections over HTTP are
 * no evidence at all. `connection.ts` asks and remembers.
 */
import {
  arrayMember,
  decodeString,
  type JsonObject,
  memberText,
  objectMember,
  readObject,
  stringMember,
} from "../protocol/json-view.ts";
import type { McpRequest } from "../protocol/messages.ts";
import { isModernRevision, newestModernRevision } from "../protocol/revisions.ts";
import { toErrorBody } from "./answer.ts";
import type { ServerFacts } from "./client.ts";
import { errorOf, invalidAnswer } from "./faults.ts";
import type { HandshakeOptions } from "./legacy/session.ts";
import { metaPrefix, modernHeaders, renderModern } from "./modern.ts";
import type { Wire, WireAnswer } from "./wire.ts";

const versionErrorCode = -32022;

export type EraVerdict =
  | { readonly era: "modern"; readonly facts: ServerFacts }
  | { readonly era: "legacy" };

/** A request of our own, for a server of any era. */
export function ownRequest(
  method: string,
  paramsText?: string,
  clientCapabilitiesText = "{}",
): McpRequest {
  return {
    kind: "request",
    idText: "0",
    method,
    params: paramsText === undefined ? undefined : readObject(paramsText),
    envelope: {
      revision: newestModernRevision,
      clientInfoText: undefined,
      clientCapabilitiesText,
      logLevel: undefined,
      progressTokenText: undefined,
    },
  };
}

/**
 * Probes an open wire. `isShared` says that the wire is a two-way channel, where silence and hanging up are how old
 * servers meet an unknown first request. Throws GatewayError where there was no evidence.
 */
export async function probeEra(
  wire: Wire,
  options: HandshakeOptions & { readonly isShared: boolean },
): Promise<EraVerdict> {
  const request = ownRequest("server/discover");
  const ask = () => {
    const id = wire.nextId();
    return wire.request({
      id,
      method: request.method,
      text: renderModern(request, id, options.ownInfoText, "{}"),
      headers: modernHeaders(request),
      cancellation: undefined,
      signal: options.signal,
      timeoutMs: options.timeoutMs,
      onNotification: () => {},
    });
  };
  const first = await ask();
  const answer = namesOurRevision(first) ? await ask() : first;
  return judgeProbe(answer, options.server, options.isShared);
}

/**
 * A version error that offers the very revision we asked in, as the nodes of a server that is being updated may give:
 * the revision says to try again with what is offered. Once; whoever refuses it twice has no revision for us.
 */
export function namesOurRevision(answer: WireAnswer): boolean {
  return answer.kind === "error" && offeredVersions(answer).includes(newestModernRevision);
}

/** Pure: what one answer to the probe proves. */
export function judgeProbe(answer: WireAnswer, server: string, isShared: boolean): EraVerdict {
  if (answer.kind === "result") return judgeResult(answer.body, server);
  if (isNoEvidence(answer, isShared)) {
    throw errorOf(
      answer.kind === "fault" ? answer.fault : invalidAnswer(server, `status-${answer.status}`),
    );
  }
  if (answer.kind === "fault") return { era: "legacy" };
  if (toErrorBody(answer).code !== versionErrorCode) return { era: "legacy" };
  const supported = offeredVersions(answer);
  // A server that names only initialize-era revisions wants the older opening.
  if (supported.length > 0 && supported.every((version) => version < newestModernRevision)) {
    return { era: "legacy" };
  }
  throw errorOf(invalidAnswer(server, "no-common-revision"));
}

function judgeResult(result: JsonObject, server: string): EraVerdict {
  const supported = supportedVersions(result);
  if (supported.length === 0) return { era: "legacy" };
  if (!supported.some(isModernRevision)) {
    if (supported.every((version) => version < newestModernRevision)) return { era: "legacy" };
    throw errorOf(invalidAnswer(server, "no-common-revision"));
  }
  return { era: "modern", facts: modernFacts(result) };
}

/** 401, 403, 429 and 5xx speak of the caller or of an outage, not of an era; so does a lost HTTP connection. */
function isNoEvidence(answer: WireAnswer, isShared: boolean): boolean {
  const status = answer.kind === "result" ? 200 : answer.status;
  if (status !== undefined) {
    const isRefusal = status === 401 || status === 403 || status === 429;
    return isRefusal || status >= 500 || (status >= 300 && status < 400);
  }
  if (answer.kind !== "fault") return false;
  return !isShared || answer.fault.name === "cancelled" || !answer.mayHaveRun;
}

function modernFacts(result: JsonObject): ServerFacts {
  const meta = objectMember(result, "_meta");
  const infoKey = `${metaPrefix}serverInfo`;
  return {
    era: "modern",
    revision: newestModernRevision,
    capabilitiesText:
      objectMember(result, "capabilities") === undefined
        ? "{}"
        : (memberText(result, "capabilities") ?? "{}"),
    instructions: stringMember(result, "instructions"),
    serverInfoText: meta && objectMember(meta, infoKey) && memberText(meta, infoKey),
  };
}

/** What a version error offers instead; empty where it is another error. */
function offeredVersions(answer: WireAnswer & { readonly kind: "error" }): readonly string[] {
  const { code, dataText } = toErrorBody(answer);
  if (code !== versionErrorCode || !dataText?.startsWith("{")) return [];
  return supportedVersions(readObject(dataText));
}

function supportedVersions(object: JsonObject | undefined): readonly string[] {
  if (object === undefined) return [];
  const spans = arrayMember(object, "supportedVersions") ?? arrayMember(object, "supported") ?? [];
  return spans
    .filter(({ start }) => object.text[start] === '"')
    .map(({ start, end }) => decodeString(object.text, start, end));
}
