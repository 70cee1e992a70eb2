/**
 * A call in the words of a modern server (revision 2026-07-28, sections 2.1 and 2.4): the envelope in `_meta`, and
 * the headers that mirror the body. Pure; the agent's own envelope keys are overwritten, its vendor keys kept.
 * Extensions are declared to servers that offered them, where the gateway carries them.
 */

import { carriedExtensions } from "../protocol/extensions.ts";
import { encodeHeaderValue } from "../protocol/headers.ts";
import {
  findMember,
  type JsonObject,
  objectMember,
  objectText,
  readObject,
  stringMember,
  withMembers,
} from "../protocol/json-view.ts";
import type { McpRequest } from "../protocol/messages.ts";
import { methods } from "../protocol/methods.ts";
import { newestModernRevision } from "../protocol/revisions.ts";
import { membersText, renderRequest, rewriteMeta } from "./outgoing.ts";

export const metaPrefix = "io.modelcontextprotocol/";

/** The whole message for a modern server. `offeredText` is source text of the capabilities it offered. */
export function renderModern(
  request: McpRequest,
  id: number,
  ownInfoText: string,
  offeredText: string,
): string {
  const declared = forwardedCapabilities(request.envelope.clientCapabilitiesText, offeredText);
  const params = rewriteMeta(request.params, (meta) => {
    return metaText(request, id, ownInfoText, declared, meta);
  });
  return renderRequest(id, request.method, params);
}

/** MCP headers recomputed from the request; never copied from the agent's. */
export function modernHeaders(request: McpRequest): Record<string, string> {
  const headers: Record<string, string> = {
    "mcp-protocol-version": newestModernRevision,
    "mcp-method": encodeHeaderValue(request.method),
  };
  const method = methods.get(request.method);
  const nameMember = method?.isNameMirrored ? method.nameMember : undefined;
  const name = nameMember && request.params && stringMember(request.params, nameMember);
  if (name !== undefined) headers["mcp-name"] = encodeHeaderValue(name);
  return headers;
}

/** Source text of the capabilities a server may rely on: the agent's, of extensions only what both sides know. */
export function forwardedCapabilities(capabilitiesText: string, offeredText: string): string {
  if (!capabilitiesText.includes("extensions")) return capabilitiesText;
  const capabilities = readObject(capabilitiesText);
  const declared = objectMember(capabilities, "extensions");
  const offered = objectMember(readObject(offeredText), "extensions");
  const isOffered = (id: string) => offered !== undefined && findMember(offered, id) !== undefined;
  const extensions = declared && carriedExtensions(declared, isOffered);
  return objectText(withMembers(capabilities, { extensions }));
}

function metaText(
  { envelope }: McpRequest,
  id: number,
  ownInfoText: string,
  capabilitiesText: string,
  meta: JsonObject | undefined,
): string {
  const vendor = meta === undefined ? "" : membersText(meta, isVendorKey);
  return (
    `{"${metaPrefix}protocolVersion":"${newestModernRevision}"` +
    `,"${metaPrefix}clientInfo":${envelope.clientInfoText ?? ownInfoText}` +
    `,"${metaPrefix}clientCapabilities":${capabilitiesText}` +
    (envelope.logLevel === undefined
      ? ""
      : `,"${metaPrefix}logLevel":${JSON.stringify(envelope.logLevel)}`) +
    (envelope.progressTokenText === undefined ? "" : `,"progressToken":${id}`) +
    (vendor === "" ? "}" : `,${vendor}}`)
  );
}

/** Keys that are nobody's but the agent's and the server's: not the envelope, not the progress token. */
export function isVendorKey(key: string): boolean {
  return key !== "progressToken" && !key.startsWith(metaPrefix);
}
