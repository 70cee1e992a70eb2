/**
 * A call in the words of a modern server (revision 2026-07-28, sections 2.1 and 2.4): the envelope in `_meta`, and
 * the headers that mirror the body. Pure; the agent's own envelope keys are overwritten, its vendor keys kept.
 * Capabilities that need the gateway to carry questions back to the agent are not declared yet (`unbridged`).
 */
import { encodeHeaderValue } from "../protocol/headers.ts";
import { type JsonObject, readObject, stringMember } from "../protocol/json-view.ts";
import type { McpRequest } from "../protocol/messages.ts";
import { methods } from "../protocol/methods.ts";
import { newestModernRevision } from "../protocol/revisions.ts";
import { membersText, renderRequest, rewriteMeta } from "./outgoing.ts";

export const metaPrefix = "io.modelcontextprotocol/";

const unbridged = new Set(["elicitation", "sampling", "roots", "extensions"]);

/** The whole message for a modern server. */
export function renderModern(request: McpRequest, id: number, ownInfoText: string): string {
  const params = rewriteMeta(request.params, (meta) => metaText(request, id, ownInfoText, meta));
  return renderRequest(id, request.method, params);
}

/** MCP headers recomputed from the request; never copied from the agent's. */
export function modernHeaders(request: McpRequest): Record<string, string> {
  const headers: Record<string, string> = {
    "mcp-protocol-version": newestModernRevision,
    "mcp-method": encodeHeaderValue(request.method),
  };
  const nameMember = methods.get(request.method)?.nameMember;
  const name = nameMember && request.params && stringMember(request.params, nameMember);
  if (name !== undefined) headers["mcp-name"] = encodeHeaderValue(name);
  return headers;
}

/** Source text of the capabilities a server may rely on: the agent's, less what we cannot bridge. */
export function forwardedCapabilities(capabilitiesText: string): string {
  if (capabilitiesText === "{}") return capabilitiesText;
  return `{${membersText(readObject(capabilitiesText), (key) => !unbridged.has(key))}}`;
}

function metaText(
  { envelope }: McpRequest,
  id: number,
  ownInfoText: string,
  meta: JsonObject | undefined,
): string {
  const vendor = meta === undefined ? "" : membersText(meta, isVendorKey);
  return (
    `{"${metaPrefix}protocolVersion":"${newestModernRevision}"` +
    `,"${metaPrefix}clientInfo":${envelope.clientInfoText ?? ownInfoText}` +
    `,"${metaPrefix}clientCapabilities":${forwardedCapabilities(envelope.clientCapabilitiesText)}` +
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
