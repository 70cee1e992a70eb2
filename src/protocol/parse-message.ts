/**
 * Text to message: the scanner's word, then the shape JSON-RPC and MCP demand of the outermost object. Everything
 * wrong becomes a `MalformedMessage` with the fault to answer, so it still leaves a record. Which era a message
 * belongs to is `classify.ts`'s question; requests leave here with a placeholder envelope.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import {
  decodeString,
  findMember,
  type JsonObject,
  type Member,
  memberText,
  objectMember,
  readArray,
  readObject,
  skipSpace,
} from "./json-view.ts";
import type {
  Envelope,
  MalformedMessage,
  McpNotification,
  McpRequest,
  McpResponse,
} from "./messages.ts";
import { newestLegacyRevision } from "./revisions.ts";
import { type ScanLimits, type ScanProblem, scanJson, scanObjects } from "./scan.ts";

export type AnyMessage = McpRequest | McpNotification | McpResponse | MalformedMessage;

// Lists, the usual names first: a name fresh from a message is compared faster than it is hashed.
const topMembers = ["jsonrpc", "id", "method", "params", "result", "error"];
const paramsMembers = [
  ..."name arguments uri cursor _meta ref argument context protocolVersion capabilities".split(" "),
  ..."clientInfo requestState inputResponses taskId task level notifications".split(" "),
  ..."requestId reason progressToken progress total message".split(" "),
];
const idBytesMax = 256;
const integerId = /^-?(?:0|[1-9][0-9]*)$/;

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes UTF-8 strictly; undefined for any malformed sequence. A byte order mark stays and fails the scan. */
export function decodeUtf8(bytes: Uint8Array | ArrayBuffer): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

export const undecodableMessage: MalformedMessage = Object.freeze({
  kind: "malformed",
  idText: undefined,
  fault: createFault("parse-error", "Parse error: the body is not valid UTF-8"),
});

/** True where the text, once scanned, is an array: a batch in the revision that had them. */
export function isArrayText(text: string): boolean {
  return text.charCodeAt(skipSpace(text, 0)) === 0x5b;
}

/** Splits a batch into the source texts of its messages, or says why it cannot be one. */
export function splitBatch(
  text: string,
  limits: ScanLimits,
  messagesMax: number,
): { readonly texts: readonly string[] } | { readonly fault: Fault } {
  const problem = scanJson(text, limits);
  if (problem !== undefined) return { fault: scanFault(problem) };
  const spans = readArray(text, 0);
  if (spans.length === 0)
    return { fault: createFault("invalid-request", "Invalid request: empty batch") };
  if (spans.length > messagesMax) {
    const message = `Invalid request: a batch holds at most ${messagesMax} messages`;
    return { fault: createFault("invalid-request", message) };
  }
  return { texts: spans.map((span) => text.slice(span.start, span.end)) };
}

export function parseMessage(text: string, limits: ScanLimits): AnyMessage {
  const { problem, object } = scanObjects(text, limits);
  if (problem !== undefined) return malformed(scanFault(problem));
  if (text.charCodeAt(skipSpace(text, 0)) !== 0x7b) {
    return malformed(invalid("a message is one JSON object; batches are not accepted here"));
  }
  const top = object ?? readObject(text);
  const twin = top.members.find((member) => isCaseTwin(member.key, topMembers));
  if (twin !== undefined)
    return malformed(invalid("a member name differs from a protocol one only in case"));
  const id = findMember(top, "id");
  const idText = id === undefined ? undefined : text.slice(id.start, id.end);
  if (idText !== undefined && !isValidId(text, id)) {
    const fault = invalid(
      `id must be an integer or a non-empty string of at most ${idBytesMax} bytes`,
    );
    // JSON-RPC errors may carry `id: null` from SDK servers; as a request's id it is refused like the others.
    return malformed(fault);
  }
  if (memberText(top, "jsonrpc") !== '"2.0"')
    return malformed(invalid('jsonrpc must be "2.0"'), idText);
  const method = findMember(top, "method");
  const hasOutcome =
    findMember(top, "result") !== undefined || findMember(top, "error") !== undefined;
  if (method === undefined) return parseResponse(top, idText);
  if (hasOutcome)
    return malformed(invalid("a message has either a method or a result, not both"), idText);
  if (text.charCodeAt(method.start) !== 0x22)
    return malformed(invalid("method must be a string"), idText);
  return parseCall(top, decodeString(text, method.start, method.end), idText);
}

/** The request under another envelope: the session's, for legacy agents. Its own progress token is kept. */
export function withEnvelope(request: McpRequest, envelope: Envelope): McpRequest {
  const progressTokenText = request.envelope.progressTokenText;
  return { ...request, envelope: { ...envelope, progressTokenText } };
}

function parseCall(top: JsonObject, method: string, idText: string | undefined): AnyMessage {
  const paramsMember = findMember(top, "params");
  if (paramsMember !== undefined && top.text.charCodeAt(paramsMember.start) !== 0x7b) {
    return malformed(invalid("params must be an object"), idText);
  }
  const params = objectMember(top, "params");
  if (params?.members.some((member) => isCaseTwin(member.key, paramsMembers))) {
    return malformed(invalid("a params member differs from a protocol one only in case"), idText);
  }
  if (idText === undefined) return { kind: "notification", method, params };
  const meta = params === undefined ? undefined : objectMember(params, "_meta");
  if (meta === undefined && params !== undefined && findMember(params, "_meta") !== undefined) {
    const fault = createFault("invalid-envelope", "Invalid params: _meta must be an object");
    return malformed(fault, idText);
  }
  const token = meta === undefined ? undefined : findMember(meta, "progressToken");
  if (meta !== undefined && token !== undefined && !isValidId(meta.text, token)) {
    const message = "Invalid params: progressToken must be an integer or a non-empty string";
    return malformed(createFault("invalid-envelope", message), idText);
  }
  const progressTokenText = token && meta?.text.slice(token.start, token.end);
  return { kind: "request", idText, method, params, envelope: placeholder(progressTokenText) };
}

function parseResponse(top: JsonObject, idText: string | undefined): AnyMessage {
  const result = findMember(top, "result");
  const error = findMember(top, "error");
  if ((result === undefined) === (error === undefined)) {
    return malformed(
      invalid("a message needs a method, or exactly one of result and error"),
      idText,
    );
  }
  const outcome = result === undefined ? "error" : "result";
  const body = objectMember(top, outcome);
  if (body === undefined) return malformed(invalid(`${outcome} must be an object`), idText);
  return { kind: "response", idText, outcome, body };
}

function placeholder(progressTokenText: string | undefined): Envelope {
  return {
    revision: newestLegacyRevision,
    clientInfoText: undefined,
    clientCapabilitiesText: "{}",
    logLevel: undefined,
    progressTokenText,
  };
}

function isValidId(text: string, id: Member | undefined): boolean {
  if (id === undefined) return false;
  if (id.end - id.start > idBytesMax + 2) return false;
  if (text.charCodeAt(id.start) !== 0x22) return integerId.test(text.slice(id.start, id.end));
  const value = decodeString(text, id.start, id.end);
  return value !== "" && !value.includes("\0") && Buffer.byteLength(value) <= idBytesMax;
}

/** True for a name that is not a protocol name but folds to one: `Method`, `paramſ` (PR-03). */
function isCaseTwin(key: string, known: readonly string[]): boolean {
  if (known.includes(key)) return false;
  const folded = key.normalize("NFKC").toLowerCase();
  return known.some((name) => name.toLowerCase() === folded);
}

function scanFault(problem: ScanProblem): Fault {
  if (problem.kind === "syntax") {
    return createFault("parse-error", `Parse error: ${problem.message} at character ${problem.at}`);
  }
  return invalid(`${problem.message} at character ${problem.at}`);
}

function invalid(why: string): Fault {
  return createFault("invalid-request", `Invalid request: ${why}`);
}

function malformed(fault: Fault, idText?: string): MalformedMessage {
  return { kind: "malformed", idText, fault };
}
