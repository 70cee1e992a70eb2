/**
 * What servers answer, in the words of an older revision: members and content types it does not know, error codes it
 * gives no meaning. Pure. A result that needs no change is returned as it is, so every byte of it is kept (PR-04).
 */

import { metaPrefix } from "../../protocol/envelope.ts";
import {
  arrayMember,
  findMember,
  type JsonObject,
  memberText,
  objectMember,
  objectText,
  readObject,
  replaceSpans,
  type Span,
  stringMember,
  withMembers,
} from "../../protocol/json-view.ts";
import type { Outcome, ServerErrorBody } from "../../protocol/messages.ts";
import type { Revision } from "../../protocol/revisions.ts";

const modernMembers = ["resultType", "ttlMs", "cacheScope"] as const;
const serverInfoKey = `${metaPrefix}serverInfo`;
const internalCode = -32603;
const missingCapabilityCode = -32021;
/** Header mismatch, missing capability, unsupported version: of the modern revisions, and about our side of them. */
const modernCodes: readonly number[] = [-32020, missingCapabilityCode, -32022];

/** An outcome in the agent's own words. */
export type TellableOutcome = Exclude<Outcome, { readonly kind: "fault" }>;

interface Edit {
  readonly span: Span;
  readonly by: string;
}

/**
 * The result as the revision knows it; undefined revision = the newest legacy one. An error, or a tool's own error,
 * where the result is of a kind no legacy client can read.
 */
export function toLegacyResult(
  method: string,
  result: JsonObject,
  revision: Revision | undefined,
): TellableOutcome {
  const resultType = stringMember(result, "resultType") ?? "complete";
  if (resultType !== "complete") {
    return cannotAnswer(method, `the server answered with "${resultType}", which it cannot read`);
  }
  const edits = editsOf(method, result, revision);
  const edited =
    edits.length === 0 ? result : readObject(replaceSpans(result.text, edits), result.start);
  const changes = memberChanges(edited);
  const isSame = edits.length === 0 && Object.keys(changes).length === 0;
  return { kind: "result", result: isSame ? result : withMembers(edited, changes) };
}

/** Codes of the modern revisions mean nothing here; a tool that lacks a capability of the client fails as a tool. */
export function toLegacyError(method: string, error: ServerErrorBody): TellableOutcome {
  if (!modernCodes.includes(error.code)) return { kind: "error", error };
  if (error.code !== missingCapabilityCode || method !== "tools/call") {
    return { kind: "error", error: { ...error, code: internalCode } };
  }
  const details = error.dataText?.startsWith("{") ? readObject(error.dataText) : undefined;
  const needed = details && memberText(details, "requiredCapabilities");
  return toolError(needed === undefined ? error.message : `${error.message} (${needed})`);
}

/** The end of a call whose server needs of the client what it cannot give. `why` completes the sentence. */
export function cannotAnswer(method: string, why: string): TellableOutcome {
  const message = `This client cannot finish the call: ${why}`;
  if (method === "tools/call") return toolError(message);
  return { kind: "error", error: { code: internalCode, message, dataText: undefined } };
}

function toolError(message: string): TellableOutcome {
  const text = `{"content":[${textBlock(message)}],"isError":true}`;
  return { kind: "result", result: readObject(text) };
}

/** Members at the top of the result that go, or change. */
function memberChanges(result: JsonObject): Record<string, string | undefined> {
  const changes: Record<string, string | undefined> = {};
  for (const key of modernMembers) if (findMember(result, key)) changes[key] = undefined;
  const meta = objectMember(result, "_meta");
  if (meta !== undefined && findMember(meta, serverInfoKey) !== undefined) {
    const rest = withMembers(meta, { [serverInfoKey]: undefined });
    changes._meta = rest.members.length === 0 ? undefined : objectText(rest);
  }
  const structured = memberText(result, "structuredContent");
  if (structured !== undefined && structured[0] !== "{") {
    changes.structuredContent = undefined;
    // What the client would have read there is not lost where the server gave no text of it.
    if ((arrayMember(result, "content") ?? []).length === 0) {
      changes.content = `[${textBlock(structured)}]`;
    }
  }
  return changes;
}

function editsOf(method: string, result: JsonObject, revision: Revision | undefined): Edit[] {
  switch (method) {
    case "tools/list":
      return outputSchemaEdits(result);
    case "tools/call":
      if (!mayBeTooNew(result, revision)) return [];
      return (arrayMember(result, "content") ?? []).flatMap((span) =>
        blockEdits(result.text, span, revision),
      );
    case "prompts/get":
      if (!mayBeTooNew(result, revision)) return [];
      return (arrayMember(result, "messages") ?? []).flatMap((message) => {
        if (result.text[message.start] !== "{") return [];
        const content = findMember(readObject(result.text, message.start), "content");
        return content === undefined ? [] : blockEdits(result.text, content, revision);
      });
    default:
      return [];
  }
}

/** Most results hold nothing of the kind, and most revisions need no look. */
function mayBeTooNew(result: JsonObject, revision: Revision | undefined): boolean {
  if (revision === undefined || revision > "2025-03-26") return false;
  return result.text.includes('"resource_link"') || result.text.includes('"audio"');
}

/** A content block of a type the revision does not know becomes text; older SDKs refuse the whole result for it. */
function blockEdits(text: string, span: Span, revision: Revision | undefined): Edit[] {
  if (text[span.start] !== "{") return [];
  const block = readObject(text, span.start);
  switch (stringMember(block, "type")) {
    case "resource_link":
      return [{ span, by: textBlock(linkText(block)) }];
    case "audio": {
      if (revision !== "2024-11-05") return [];
      const type = stringMember(block, "mimeType") ?? "of an unnamed type";
      return [{ span, by: textBlock(`[audio, ${type}: this revision cannot carry it]`) }];
    }
    default:
      return [];
  }
}

function linkText(block: JsonObject): string {
  const name = stringMember(block, "title") ?? stringMember(block, "name");
  const uri = stringMember(block, "uri") ?? "";
  const about = stringMember(block, "description");
  return `${name === undefined ? "" : `${name}: `}${uri}${about === undefined ? "" : `\n${about}`}`;
}

/** The older revisions know schemas of objects alone, and refuse a list that holds another. */
function outputSchemaEdits(result: JsonObject): Edit[] {
  const { text } = result;
  if (!text.includes('"outputSchema"')) return [];
  return (arrayMember(result, "tools") ?? []).flatMap((span) => {
    const at = text.indexOf('"outputSchema"', span.start);
    if (at === -1 || at > span.end || text[span.start] !== "{") return [];
    const tool = readObject(text, span.start);
    if (findMember(tool, "outputSchema") === undefined) return [];
    const schema = objectMember(tool, "outputSchema");
    if (schema !== undefined && stringMember(schema, "type") === "object") return [];
    return [{ span, by: objectText(withMembers(tool, { outputSchema: undefined })) }];
  });
}

function textBlock(text: string): string {
  return `{"type":"text","text":${JSON.stringify(text)}}`;
}
