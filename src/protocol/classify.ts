/**
 * Which era a message belongs to, and over HTTP whether its headers agree with its body (revision 2026-07-28, sections
 * 2.4 and 2.11). Pure: it returns a verdict, never throws, touches no transport. The body's claim decides; headers
 * are only a cross-check, and policy never reads them.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import { readEnvelope, unsupportedVersion } from "./envelope.ts";
import { decodeHeaderValue } from "./headers.ts";
import { stringMember } from "./json-view.ts";
import type { McpNotification, McpRequest, McpResponse } from "./messages.ts";
import { methods } from "./methods.ts";
import { isModernRevision } from "./revisions.ts";

/** Case-insensitive header access; `Headers` satisfies it. */
export interface HeaderSource {
  get(name: string): string | null;
}

export type HttpClass =
  | { readonly era: "legacy" }
  | { readonly era: "modern"; readonly message: McpRequest | McpNotification }
  | { readonly era: "refused"; readonly fault: Fault };

const legacy = Object.freeze({ era: "legacy" });

export function classifyHttp(
  message: McpRequest | McpNotification | McpResponse,
  headers: HeaderSource,
): HttpClass {
  const headerVersion = headers.get("mcp-protocol-version")?.trim();
  const isModernHeader = headerVersion !== undefined && isModernRevision(headerVersion);
  if (message.kind === "response") {
    if (!isModernHeader) return legacy;
    return refused(
      createFault(
        "invalid-request",
        "Invalid request: a client sends no responses in this revision",
      ),
    );
  }
  if (message.kind === "notification") return isModernHeader ? { era: "modern", message } : legacy;
  const reading = readEnvelope(message);
  if (reading.kind === "fault") return refused(reading.fault);
  if (reading.kind === "none") return classifyBare(message, isModernHeader);
  const mismatch =
    versionMismatch(headerVersion, reading.version) ??
    mirrorMismatch(headers, "Mcp-Method", message.method);
  if (mismatch !== undefined) return refused(mismatch);
  if (reading.envelope === undefined) return refused(unsupportedVersion(reading.version));
  const nameMismatch = checkName(message, headers);
  if (nameMismatch !== undefined) return refused(nameMismatch);
  return { era: "modern", message: { ...message, envelope: reading.envelope } };
}

export type BodyClass =
  | { readonly era: "legacy" }
  | { readonly era: "modern"; readonly request: McpRequest }
  | { readonly era: "refused"; readonly fault: Fault };

/** The era of a request by its body alone, as on a WebSocket: the envelope says modern, its absence legacy. */
export function classifyBody(request: McpRequest): BodyClass {
  const reading = readEnvelope(request);
  switch (reading.kind) {
    case "none":
      return legacy;
    case "fault":
      return { era: "refused", fault: reading.fault };
    case "modern": {
      const { envelope } = reading;
      if (envelope !== undefined) return { era: "modern", request: { ...request, envelope } };
      return { era: "refused", fault: unsupportedVersion(reading.version) };
    }
    default:
      return reading satisfies never;
  }
}

/** A request without an envelope is legacy, unless its header claims otherwise. */
function classifyBare(message: McpRequest, isModernHeader: boolean): HttpClass {
  if (!isModernHeader) return legacy;
  if (message.method === "initialize") {
    return refused(
      createFault("header-mismatch", "MCP-Protocol-Version names a revision without initialize"),
    );
  }
  const text =
    "Invalid params: this revision needs _meta with protocolVersion and clientCapabilities";
  const missing = { envelope: "io.modelcontextprotocol/protocolVersion" };
  return refused(createFault("invalid-envelope", text, { data: missing }));
}

function versionMismatch(header: string | undefined, body: string): Fault | undefined {
  if (header === body) return undefined;
  return mismatchFault(
    "MCP-Protocol-Version",
    header === undefined ? "is missing" : "differs from the body",
  );
}

/** `Mcp-Name` must equal the member that names the target, for the methods that have one. */
function checkName(message: McpRequest, headers: HeaderSource): Fault | undefined {
  const method = methods.get(message.method);
  if (!method?.isNameMirrored || !method.nameMember || !message.params) return undefined;
  const name = stringMember(message.params, method.nameMember);
  return name === undefined ? undefined : mirrorMismatch(headers, "Mcp-Name", name);
}

function mirrorMismatch(headers: HeaderSource, header: string, value: string): Fault | undefined {
  const given = headers.get(header);
  if (given === null) return mismatchFault(header, "is missing");
  const decoded = decodeHeaderValue(given);
  if (decoded === value) return undefined;
  return mismatchFault(
    header,
    decoded === undefined ? "holds bad base64" : "differs from the body",
  );
}

function mismatchFault(header: string, what: string): Fault {
  return createFault("header-mismatch", `Header mismatch: ${header} ${what}`, {
    data: { mismatch: header },
  });
}

function refused(fault: Fault): HttpClass {
  return { era: "refused", fault };
}
