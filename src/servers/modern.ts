/**
 * A call in the words of a modern server (revision 2026-07-28, sections 2.1 and 2.4): the envelope in `_meta`, and
 * the headers that mirror the body. Pure; the agent's own envelope keys are overwritten, its vendor keys kept.
 * Of the agent's extensions a server is told only those it advertised itself.
 */
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

/** The whole message for a modern server that advertised these capabilities (source text). */
export function renderModern(
  request: McpRequest,
  id: number,
  ownInfoText: string,
  advertisedText: string,
): string {
  const capabilities = forwardedCapabilities(
    request.envelope.clientCapabilitiesText,
    advertisedText,
  );
  const params = rewriteMeta(request.params, (meta) =>
    metaText(request, id, ownInfoText, capabilities, meta),
  );
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

/** Source text of the agent's capabilities, without extensions the server did not advertise. */
export function forwardedCapabilities(capabilitiesText: string, advertisedText: string): string {
  if (!capabilitiesText.includes('"extensions"')) return capabilitiesText;
  const capabilities = readObject(capabilitiesText);
  const declared = objectMember(capabilities, "extensions");
  if (declared === undefined) return capabilitiesText;
  const advertised = objectMember(readObject(advertisedText), "extensions");
  const shared = membersText(
    declared,
    (key) => advertised !== undefined && findMember(advertised, key) !== undefined,
  );
  const extensions = shared === "" ? undefined : `{${shared}}`;
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
