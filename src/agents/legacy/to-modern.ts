/**
 * The opening handshake of the older revisions in modern words: `initialize` asks what `server/discover` asks, and a
 * DiscoverResult is told back as an InitializeResult. Also the envelope that a session lends to each request.
 * Pure. What needs a way back to the client (roots, sampling, elicitation) is not declared towards servers until
 * `client-requests.ts` exists: a server told of them would ask, and nobody would answer.
 */
import { createFault, type Fault } from "../../errors/fault.ts";
import {
  type JsonObject,
  memberText,
  objectMember,
  objectText,
  readObject,
  stringMember,
} from "../../protocol/json-view.ts";
import type { Envelope, McpRequest } from "../../protocol/messages.ts";
import {
  isLegacyRevision,
  type LegacyRevision,
  legacyRevisions,
  newestLegacyRevision,
} from "../../protocol/revisions.ts";
import type { LegacySession } from "./sessions.ts";

export interface Handshake {
  readonly revision: LegacyRevision;
  readonly clientInfoText: string | undefined;
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
    capabilitiesText: objectText(capabilities),
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

/** The InitializeResult for a DiscoverResult. */
export function toInitializeResult(
  discovered: JsonObject,
  revision: LegacyRevision,
  serverInfoText: string,
): string {
  const capabilities = objectMember(discovered, "capabilities");
  const instructions = memberText(discovered, "instructions");
  return (
    `{"protocolVersion":"${revision}","capabilities":${legacyCapabilities(capabilities)},` +
    `"serverInfo":${serverInfoText}${instructions === undefined ? "" : `,"instructions":${instructions}`}}`
  );
}

/** What a session says about its client, for one request. */
export function sessionEnvelope(session: LegacySession): Envelope {
  return {
    revision: session.revision,
    clientInfoText: session.clientInfoText,
    clientCapabilitiesText: "{}",
    logLevel: session.logLevel,
    progressTokenText: undefined,
  };
}

/**
 * Extensions and tasks have no legacy form; change notices and subscriptions need a channel towards the agent that
 * comes with `outbox.ts`. They are not announced, so no client waits for them.
 */
function legacyCapabilities(capabilities: JsonObject | undefined): string {
  const kept: string[] = [];
  for (const member of capabilities?.members ?? []) {
    const text = capabilities?.text.slice(member.start, member.end) ?? "{}";
    if (member.key === "extensions" || member.key === "tasks") continue;
    const isList = ["tools", "prompts", "resources"].includes(member.key);
    kept.push(`${JSON.stringify(member.key)}:${isList ? "{}" : text}`);
  }
  return `{${kept.join(",")}}`;
}

function wrong(what: string): { readonly fault: Fault } {
  return { fault: createFault("invalid-params", `Invalid params: ${what}`) };
}
