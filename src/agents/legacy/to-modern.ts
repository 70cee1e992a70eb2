/**
 * The opening handshake of the older revisions in modern words: `initialize` asks what `server/discover` asks, and a
 * DiscoverResult is told back as an InitializeResult. Also the envelope that a session lends to each request, and
 * what it says a client of its revision can do. Pure.
 */
import { createFault, type Fault } from "../../errors/fault.ts";
import { metaPrefix } from "../../protocol/envelope.ts";
import {
  findMember,
  type JsonObject,
  memberText,
  objectMember,
  objectText,
  readObject,
  stringMember,
  withMembers,
} from "../../protocol/json-view.ts";
import type { Envelope, McpRequest } from "../../protocol/messages.ts";
import {
  isLegacyRevision,
  type LegacyRevision,
  legacyRevisions,
  newestLegacyRevision,
} from "../../protocol/revisions.ts";
import { skillsExtension } from "../../protocol/skills.ts";
import { tasksExtension } from "../../protocol/tasks.ts";

const uiExtension = `${metaPrefix}ui`;

export interface Handshake {
  readonly revision: LegacyRevision;
  readonly clientInfoText: string | undefined;
  /** What the client can do, as a modern request would say it. */
  readonly capabilitiesText: string;
  /** The question in modern words. */
  readonly discover: McpRequest;
}

/** Reads an `initialize` request; the revision is the asked one where we speak it, else our newest legacy one. */
export function readInitialize(request: McpRequest): Handshake | { readonly fault: Fault } {
  const { params } = request;
  const asked = params === undefined ? undefined : stringMember(params, "protocolVersion");
  if (params === undefined || asked === undefined) {
    return wrong(`protocolVersion must be a string, one of ${legacyRevisions.join(", ")}`);
  }
  const capabilities = objectMember(params, "capabilities");
  if (capabilities === undefined) return wrong("capabilities must be an object (it may be empty)");
  const clientInfo = objectMember(params, "clientInfo");
  if (clientInfo === undefined || stringMember(clientInfo, "name") === undefined) {
    return wrong("clientInfo must be an object with the strings name and version");
  }
  const clientInfoText = memberText(params, "clientInfo");
  const revision = isLegacyRevision(asked) ? asked : newestLegacyRevision;
  return {
    revision,
    clientInfoText,
    capabilitiesText: toModernCapabilities(capabilities, revision),
    discover: {
      kind: "request",
      idText: request.idText,
      method: "server/discover",
      params: readObject("{}"),
      envelope: {
        revision,
        clientInfoText,
        clientCapabilitiesText: "{}",
        logLevel: undefined,
        progressTokenText: undefined,
      },
    },
  };
}

/**
 * The InitializeResult for a DiscoverResult. `canBeTold`: there will be a session, whose client can be told of changes;
 * what nobody would be told is not announced.
 */
export function toInitializeResult(
  discovered: JsonObject,
  revision: LegacyRevision,
  serverInfoText: string,
  canBeTold: boolean,
): string {
  const capabilities = objectMember(discovered, "capabilities");
  const instructions = memberText(discovered, "instructions");
  return (
    `{"protocolVersion":"${revision}","capabilities":${toLegacyCapabilities(capabilities, canBeTold)},` +
    `"serverInfo":${serverInfoText}${instructions === undefined ? "" : `,"instructions":${instructions}`}}`
  );
}

/** What a session knows of its client. */
export interface SessionClient {
  readonly revision: LegacyRevision;
  readonly clientInfoText: string | undefined;
  readonly capabilitiesText: string;
  /** Lowest log level the agent asked for; undefined = it wants no log messages. */
  readonly logLevel: string | undefined;
}

/** What a session says about its client, for one request. */
export function sessionEnvelope(session: SessionClient): Envelope {
  return {
    revision: session.revision,
    clientInfoText: session.clientInfoText,
    clientCapabilitiesText: session.capabilitiesText,
    logLevel: session.logLevel,
    progressTokenText: undefined,
  };
}

/**
 * A client's capabilities in modern form: what its revision does not have is not in it, however it was declared.
 * Tasks of 2025-11-25 have no modern form, the tasks extension answers in a way that no legacy client can read, and
 * the methods of skills are for modern agents alone.
 */
function toModernCapabilities(given: JsonObject, revision: LegacyRevision): string {
  const kept: string[] = [];
  for (const { key, start, end } of given.members) {
    const own = objectMember(given, key);
    const text = own && modernCapability(key, own, revision, given.text.slice(start, end));
    if (text !== undefined) kept.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${kept.join(",")}}`;
}

function modernCapability(
  key: string,
  given: JsonObject,
  revision: LegacyRevision,
  asItCame: string,
): string | undefined {
  switch (key) {
    case "tasks":
      return undefined;
    case "roots":
      return objectText(withMembers(given, { listChanged: undefined }));
    case "sampling":
      return revision < "2025-11-25" ? "{}" : asItCame;
    case "elicitation": {
      if (revision < "2025-06-18") return undefined;
      if (revision < "2025-11-25") return '{"form":{}}';
      const hasMode = findMember(given, "form") ?? findMember(given, "url");
      return hasMode ? asItCame : objectText(withMembers(given, { form: "{}" }));
    }
    case "extensions":
      return objectText(
        withMembers(given, { [tasksExtension]: undefined, [skillsExtension]: undefined }),
      );
    default:
      return asItCame;
  }
}

/**
 * The gateway itself changes lists, so a client that can be told of it is promised that it will be. Tasks have no
 * form here; of the extensions only those stay that work without the modern protocol.
 */
function toLegacyCapabilities(capabilities: JsonObject | undefined, canBeTold: boolean): string {
  if (capabilities === undefined) return "{}";
  const kept: string[] = [];
  for (const { key, start, end } of capabilities.members) {
    const own = objectMember(capabilities, key);
    const asItCame = capabilities.text.slice(start, end);
    const text = own && legacyCapability(key, own, canBeTold, asItCame);
    if (text !== undefined) kept.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${kept.join(",")}}`;
}

function legacyCapability(
  key: string,
  given: JsonObject,
  canBeTold: boolean,
  asItCame: string,
): string | undefined {
  switch (key) {
    case "tasks":
      return undefined;
    case "extensions": {
      const settings = memberText(given, uiExtension);
      return settings && `{"${uiExtension}":${settings}}`;
    }
    case "tools":
    case "prompts":
    case "resources": {
      const notices = canBeTold
        ? { listChanged: "true" }
        : { listChanged: undefined, subscribe: undefined };
      return objectText(withMembers(given, notices));
    }
    default:
      return asItCame;
  }
}

function wrong(what: string): { readonly fault: Fault } {
  return { fault: createFault("invalid-params", `Invalid params: ${what}`) };
}
