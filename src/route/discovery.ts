/**
 * The gateway's own DiscoverResult over the servers a scope draws on (reference section 4.5). A server's own scope
 * says what its server says, as far as the gateway carries it; several servers' capabilities are joined. Pure.
 */

import { carriedExtensions } from "../protocol/extensions.ts";
import {
  type JsonObject,
  memberText,
  objectMember,
  objectText,
  readObject,
  withMembers,
} from "../protocol/json-view.ts";
import { modernRevisions } from "../protocol/revisions.ts";
import { declaresTasks, tasksExtension } from "../protocol/tasks.ts";
import type { Scope } from "../state/snapshot.ts";

export interface ServerSelf {
  readonly server: string;
  /** Source text of its capabilities object. */
  readonly capabilitiesText: string;
  readonly instructions: string | undefined;
}

const instructionCharsMax = 32_768;
/** Operators change what a scope draws on at any time; agents that listen hear of it. */
const discoverTtlMs = 1_000;

/** Lists change when operators and servers come and go, so they always may, whatever a server says of its own. */
const listing = ["tools", "prompts", "resources"] as const;
const services = ["completions", "logging"] as const;

export function mergeDiscovery(
  scope: Scope,
  parts: readonly ServerSelf[],
  gateway: { readonly name: string; readonly version: string },
): JsonObject {
  const [only] = parts;
  const capabilitiesText =
    scope.kind === "server" && only !== undefined
      ? ownCapabilities(readObject(only.capabilitiesText))
      : joinedCapabilities(parts.map((part) => readObject(part.capabilitiesText)));
  const instructions = joinInstructions(parts);
  const rest = {
    ...(instructions === undefined ? {} : { instructions }),
    ttlMs: discoverTtlMs,
    cacheScope: "private",
    _meta: { "io.modelcontextprotocol/serverInfo": gateway },
  };
  const versions = JSON.stringify(modernRevisions);
  return readObject(
    `{"resultType":"complete","supportedVersions":${versions},"capabilities":${capabilitiesText},` +
      JSON.stringify(rest).slice(1),
  );
}

/** Most extensions, and experiments, have no server's name in their methods, so they work here alone. */
function ownCapabilities(capabilities: JsonObject): string {
  const kept: Record<string, string> = {};
  for (const name of listing) {
    const own = objectMember(capabilities, name);
    if (own !== undefined) kept[name] = objectText(withMembers(own, { listChanged: "true" }));
  }
  for (const name of [...services, "experimental"]) {
    const own = objectMember(capabilities, name);
    if (own !== undefined) kept[name] = objectText(own);
  }
  const extensions = objectMember(capabilities, "extensions");
  const carried = extensions && carriedExtensions(extensions, () => true);
  if (carried !== undefined) kept.extensions = carried;
  return render(kept);
}

/** A joined scope has tools even while every server is down, so that an agent may connect and ask again. */
function joinedCapabilities(parts: readonly JsonObject[]): string {
  const has = (name: string) => parts.some((part) => objectMember(part, name) !== undefined);
  const kept: Record<string, string> = { tools: '{"listChanged":true}' };
  if (has("prompts")) kept.prompts = '{"listChanged":true}';
  if (has("resources")) {
    const canSubscribe = parts.some((part) => {
      const resources = objectMember(part, "resources");
      return resources !== undefined && memberText(resources, "subscribe") === "true";
    });
    kept.resources = `{"listChanged":true${canSubscribe ? ',"subscribe":true' : ""}}`;
  }
  for (const name of services) if (has(name)) kept[name] = "{}";
  // A task's id says whose it is.
  if (parts.some((part) => declaresTasks(objectText(part)))) {
    kept.extensions = `{"${tasksExtension}":{}}`;
  }
  return render(kept);
}

function render(members: Readonly<Record<string, string>>): string {
  const texts = Object.entries(members).map(([name, text]) => `"${name}":${text}`);
  return `{${texts.join(",")}}`;
}

function joinInstructions(parts: readonly ServerSelf[]): string | undefined {
  const given = parts.filter((part) => part.instructions !== undefined && part.instructions !== "");
  const [only] = given;
  if (only === undefined) return undefined;
  const text =
    parts.length === 1
      ? (only.instructions ?? "")
      : given.map((part) => `# ${part.server}\n${part.instructions}`).join("\n\n");
  return text.slice(0, instructionCharsMax);
}
