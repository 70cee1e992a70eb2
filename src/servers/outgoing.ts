/**
 * Writes the JSON-RPC messages we send to servers, by concatenating source text: what nobody rewrites goes out as it
 * came in. Used by both eras; what belongs in `_meta` is theirs to say.
 */
import { findMember, type JsonObject, objectMember, objectText } from "../protocol/json-view.ts";

/** `method` is written as a JSON string; `paramsText` is source text. */
export function renderRequest(id: number, method: string, paramsText: string | undefined): string {
  const head = `{"jsonrpc":"2.0","id":${id},"method":${quoteMethod(method)}`;
  return paramsText === undefined ? `${head}}` : `${head},"params":${paramsText}}`;
}

export function renderNotification(method: string, paramsText: string | undefined): string {
  const head = `{"jsonrpc":"2.0","method":${quoteMethod(method)}`;
  return paramsText === undefined ? `${head}}` : `${head},"params":${paramsText}}`;
}

export function renderCancellation(id: number): string {
  return renderNotification("notifications/cancelled", `{"requestId":${id}}`);
}

/**
 * The params with `_meta` replaced. `metaText` gets the old one and returns source text, or undefined for none.
 * Every other character of the params stays as it was.
 */
export function rewriteMeta(
  params: JsonObject | undefined,
  metaText: (meta: JsonObject | undefined) => string | undefined,
): string | undefined {
  if (params === undefined) {
    const added = metaText(undefined);
    return added === undefined ? undefined : `{"_meta":${added}}`;
  }
  const member = findMember(params, "_meta");
  const text = metaText(member && objectMember(params, "_meta"));
  if (member !== undefined) {
    const { text: source, start, end } = params;
    return source.slice(start, member.start) + (text ?? "{}") + source.slice(member.end, end);
  }
  if (text === undefined) return objectText(params);
  const rest = params.text.slice(params.start + 1, params.end);
  return `{"_meta":${text}${params.members.length === 0 ? "" : ","}${rest}`;
}

/** Members of an object that pass `keep`, as source text joined by commas (no braces). */
export function membersText(object: JsonObject, keep: (key: string) => boolean): string {
  const kept: string[] = [];
  for (const member of object.members) {
    if (keep(member.key)) kept.push(object.text.slice(member.keyStart, member.end));
  }
  return kept.join(",");
}

const plainMethod = /^[A-Za-z0-9/_.$-]*$/;

function quoteMethod(method: string): string {
  return plainMethod.test(method) ? `"${method}"` : JSON.stringify(method);
}
