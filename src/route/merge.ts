/**
 * Joining what several servers answered: lists under exposed names, and `server/discover`. Pure text work: each
 * element keeps its bytes, only its name is replaced. A merged list is one page; what failed is left out.
 */
import { type CacheScope, readCacheHints } from "../protocol/cache-hints.ts";
import {
  arrayMember,
  findMember,
  type JsonObject,
  memberText,
  objectMember,
  objectText,
  readObject,
  replaceSpans,
  stringMember,
} from "../protocol/json-view.ts";
import type { MethodFacts } from "../protocol/methods.ts";
import { modernRevisions } from "../protocol/revisions.ts";
import type { Scope } from "../state/snapshot.ts";
import { exposeName } from "./names.ts";
import { matchesUri } from "./uri-pattern.ts";

export interface ServerResult {
  readonly server: string;
  readonly result: JsonObject;
}

export interface ServerSelf {
  readonly server: string;
  /** Source text of its capabilities object. */
  readonly capabilitiesText: string;
  readonly instructions: string | undefined;
}

type ListMember = NonNullable<MethodFacts["listMember"]>;

const instructionCharsMax = 32_768;

/** One list out of several servers' pages, named as the scope exposes them; fresh as long as its shortest part. */
export function mergeLists(
  scope: Scope,
  listMember: ListMember,
  parts: readonly ServerResult[],
): JsonObject {
  const elements = parts.flatMap((part) => exposeElements(scope, listMember, part));
  const ttlMs = shortestTtlMs(parts.map((part) => part.result));
  return listResult(listMember, elements, ttlMs, "private");
}

/** The pages of one server's list as one page, still under its own names. */
export function concatPages(listMember: ListMember, pages: readonly JsonObject[]): JsonObject {
  const [only] = pages;
  if (only !== undefined && pages.length === 1) return only;
  const elements = pages.flatMap((page) =>
    (arrayMember(page, listMember) ?? []).map((span) => page.text.slice(span.start, span.end)),
  );
  const isPublic = pages.every((page) => readCacheHints(page).scope === "public");
  return listResult(listMember, elements, shortestTtlMs(pages), isPublic ? "public" : "private");
}

function shortestTtlMs(results: readonly JsonObject[]): number {
  return results.length === 0 ? 0 : Math.min(...results.map((one) => readCacheHints(one).ttlMs));
}

function listResult(
  listMember: ListMember,
  elements: readonly string[],
  ttlMs: number,
  scope: CacheScope,
): JsonObject {
  const hints = ttlMs === 0 ? "" : `,"ttlMs":${ttlMs},"cacheScope":"${scope}"`;
  return readObject(`{"${listMember}":[${elements.join(",")}]${hints}}`);
}

/** Calls back with each element of a list result and keeps those it approves. */
export function filterList(
  result: JsonObject,
  listMember: ListMember,
  keep: (element: JsonObject) => boolean,
): JsonObject {
  const list = findMember(result, listMember);
  const spans = arrayMember(result, listMember);
  if (list === undefined || spans === undefined) return result;
  const kept = spans.filter((span) => {
    return result.text[span.start] === "{" && keep(readObject(result.text, span.start));
  });
  if (kept.length === spans.length) return result;
  const by = `[${kept.map((span) => result.text.slice(span.start, span.end)).join(",")}]`;
  return readObject(replaceSpans(result.text, [{ span: list, by }]), result.start);
}

/** The gateway's own DiscoverResult over the servers a scope draws on. */
export function mergeDiscovery(
  scope: Scope,
  parts: readonly ServerSelf[],
  gateway: { readonly name: string; readonly version: string },
): JsonObject {
  // A merged scope lists tools even while every server is down, so that an agent may connect and ask again.
  const isMerged = scope.kind !== "server";
  const always = isMerged ? { tools: { listChanged: true } } : {};
  const instructions = joinInstructions(parts);
  return readObject(
    JSON.stringify({
      resultType: "complete",
      supportedVersions: modernRevisions,
      capabilities: { ...always, ...mergeCapabilities(parts, isMerged) },
      ...(instructions === undefined ? {} : { instructions }),
      ttlMs: 0,
      cacheScope: "private",
      _meta: { "io.modelcontextprotocol/serverInfo": gateway },
    }),
  );
}

function exposeElements(scope: Scope, member: string, part: ServerResult): readonly string[] {
  const spans = arrayMember(part.result, member) ?? [];
  return spans.flatMap((span) => {
    if (part.result.text[span.start] !== "{") return [];
    const element = readObject(part.result.text, span.start);
    const exposed = exposeElement(scope, member, part.server, element);
    return exposed === undefined ? [] : [exposed];
  });
}

function exposeElement(
  scope: Scope,
  member: string,
  server: string,
  element: JsonObject,
): string | undefined {
  if (member === "resources" || member === "resourceTemplates") {
    const uri = stringMember(element, member === "resources" ? "uri" : "uriTemplate");
    const isIncluded = uri !== undefined && includesUri(scope, server, uri);
    return isIncluded ? objectText(element) : undefined;
  }
  const name = stringMember(element, "name");
  const span = findMember(element, "name");
  if (name === undefined || span === undefined) return undefined;
  const exposed = exposeName(scope, member === "tools" ? "tool" : "prompt", server, name);
  if (exposed === undefined) return undefined;
  if (exposed === name) return objectText(element);
  const shifted = { start: span.start - element.start, end: span.end - element.start };
  return replaceSpans(objectText(element), [{ span: shifted, by: JSON.stringify(exposed) }]);
}

/** Whether a scope shows this server's URI; only virtual servers leave any out. */
export function includesUri(scope: Scope, server: string, uri: string): boolean {
  if (scope.kind !== "virtual") return true;
  return scope.virtual.resources.some(
    (member) => member.server === server && matchesUri(member.uriPattern, uri),
  );
}

/**
 * Union of what the servers can do, without what this gateway does not bridge yet. Merged lists are the gateway's
 * own and change whenever a server comes or goes; of one server's lists that server tells.
 */
function mergeCapabilities(
  parts: readonly ServerSelf[],
  isMerged: boolean,
): Record<string, Record<string, true>> {
  const merged: Record<string, Record<string, true>> = {};
  for (const part of parts) {
    const capabilities = readObject(part.capabilitiesText);
    for (const name of ["tools", "prompts", "resources", "completions", "logging"]) {
      const own = objectMember(capabilities, name);
      if (own === undefined) continue;
      const union = merged[name] ?? {};
      merged[name] = union;
      const isList = name === "tools" || name === "prompts" || name === "resources";
      const tells = isMerged || memberText(own, "listChanged") === "true";
      if (isList && tells) union.listChanged = true;
      if (name === "resources" && memberText(own, "subscribe") === "true") union.subscribe = true;
    }
  }
  return merged;
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

/** Whether any part of a list says that there is more. */
export function nextCursorOf(result: JsonObject): string | undefined {
  return memberText(result, "nextCursor") === "null"
    ? undefined
    : stringMember(result, "nextCursor");
}
