/**
 * The modern envelope in `params._meta` (revision 2026-07-28, section 2.1): whether a request has one, and what it
 * says. Every edge that meets modern requests reads it here.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import {
  findMember,
  type JsonObject,
  memberText,
  objectMember,
  stringMember,
} from "./json-view.ts";
import { logLevels } from "./log-levels.ts";
import type { Envelope, McpRequest } from "./messages.ts";
import { isModernRevision, modernRevisions } from "./revisions.ts";

export const metaPrefix = "io.modelcontextprotocol/";
const versionKey = `${metaPrefix}protocolVersion`;
const capabilitiesKey = `${metaPrefix}clientCapabilities`;
const infoKey = `${metaPrefix}clientInfo`;
const logLevelKey = `${metaPrefix}logLevel`;

export type EnvelopeReading =
  | { readonly kind: "none" }
  | { readonly kind: "modern"; readonly version: string; readonly envelope: Envelope | undefined }
  | { readonly kind: "fault"; readonly fault: Fault };

/**
 * Reads the envelope. `none` where no envelope key is present. `modern` carries the claimed version as written,
 * and an envelope only where that version is one we speak.
 */
export function readEnvelope(request: McpRequest): EnvelopeReading {
  const meta = request.params === undefined ? undefined : objectMember(request.params, "_meta");
  if (meta === undefined || !hasEnvelopeKey(meta)) return { kind: "none" };
  const version = stringMember(meta, versionKey);
  if (version === undefined) return wrong(versionKey, "a string");
  const capabilities = objectMember(meta, capabilitiesKey);
  if (capabilities === undefined) return wrong(capabilitiesKey, "an object (it may be empty)");
  const clientInfo = objectMember(meta, infoKey);
  if (findMember(meta, infoKey) !== undefined) {
    const isNamed = clientInfo !== undefined && stringMember(clientInfo, "name") !== undefined;
    if (!isNamed || stringMember(clientInfo, "version") === undefined) {
      return wrong(infoKey, "an object with the strings name and version");
    }
  }
  const logLevel = stringMember(meta, logLevelKey);
  if (findMember(meta, logLevelKey) !== undefined && !isLogLevel(logLevel)) {
    const message = `Invalid params: ${logLevelKey} must be one of ${logLevels.join(", ")}`;
    return { kind: "fault", fault: createFault("invalid-params", message) };
  }
  if (!isModernRevision(version)) return { kind: "modern", version, envelope: undefined };
  return {
    kind: "modern",
    version,
    envelope: {
      revision: version,
      clientInfoText: memberText(meta, infoKey),
      clientCapabilitiesText: memberText(meta, capabilitiesKey) ?? "{}",
      logLevel,
      progressTokenText: request.envelope.progressTokenText,
    },
  };
}

/** The refusal of a version we do not speak, with the ones we do (modern ones only: section 2.3). */
export function unsupportedVersion(requested: string): Fault {
  return createFault(
    "unsupported-version",
    `Unsupported protocol version: use ${modernRevisions.join(" or ")}`,
    {
      data: { supported: modernRevisions, requested: requested.slice(0, 64) },
    },
  );
}

function isLogLevel(text: string | undefined): boolean {
  return logLevels.some((level) => level === text);
}

function hasEnvelopeKey(meta: JsonObject): boolean {
  return meta.members.some(
    ({ key }) =>
      key === versionKey || key === capabilitiesKey || key === infoKey || key === logLevelKey,
  );
}

function wrong(key: string, expected: string): EnvelopeReading {
  const message = `Invalid params: _meta["${key}"] must be ${expected}`;
  return {
    kind: "fault",
    fault: createFault("invalid-envelope", message, { data: { envelope: key } }),
  };
}
