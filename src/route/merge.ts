/**
 * Joining the lists that several servers answered, under exposed names. Pure text work: each element keeps its bytes,
 * only its name is replaced. A merged list is one page; what failed is left out.
 */
import {
  arrayMember,
  findMember,
  type JsonObject,
  memberText,
  objectText,
  readObject,
  replaceMember,
  replaceSpans,
  stringMember,
} from "../protocol/json-view.ts";
import { type ListMember, lists } from "../protocol/methods.ts";
import type { Scope } from "../state/snapshot.ts";
import { type Hints, joinHints, readHints, renderHints } from "./hints.ts";
import { exposeName, type LongNames, looksShortened, type ResolvedName } from "./names.ts";
import { matchesUri } from "./uri-pattern.ts";

export interface ServerResult {
  readonly server: string;
  readonly result: JsonObject;
}

/** One element of a merged list. */
interface Exposed {
  readonly owner: ResolvedName;
  readonly exposed: string;
  readonly text: string;
}

/**
 * One list out of several servers' pages, named as the scope exposes them. `longNames` learns the names that only a
 * list can turn back; of two that are exposed alike, one is left out.
 */
export function mergeLists(
  scope: Scope,
  listMember: ListMember,
  parts: readonly ServerResult[],
  hints: Hints,
  longNames: LongNames,
): JsonObject {
  const elements = parts.flatMap((part) => exposeElements(scope, listMember, part));
  const texts = dropTwins(scope, listMember, elements, longNames).map(({ text }) => text);
  return readObject(`{"${listMember}":[${texts.join(",")}]${renderHints(hints)}}`);
}

/** The pages of one server's list as one page, still under its own names. */
export function concatPages(listMember: ListMember, pages: readonly JsonObject[]): JsonObject {
  const [only] = pages;
  if (only !== undefined && pages.length === 1) return only;
  const hints = joinHints(pages.map(readHints));
  const elements = pages.flatMap((page) =>
    (arrayMember(page, listMember) ?? []).map((span) => page.text.slice(span.start, span.end)),
  );
  return readObject(`{"${listMember}":[${elements.join(",")}]${renderHints(hints)}}`);
}

/** Calls back with each element of a list result and keeps those it approves. */
export function filterList(
  result: JsonObject,
  listMember: ListMember,
  keep: (element: JsonObject) => boolean,
): JsonObject {
  const spans = arrayMember(result, listMember);
  if (spans === undefined) return result;
  const kept = spans.filter((span) => {
    return result.text[span.start] === "{" && keep(readObject(result.text, span.start));
  });
  if (kept.length === spans.length) return result;
  const by = `[${kept.map((span) => result.text.slice(span.start, span.end)).join(",")}]`;
  return replaceMember(result, listMember, by);
}

/** Every name is learnt before any is judged: which of two twins stays must not depend on their order. */
function dropTwins(
  scope: Scope,
  listMember: ListMember,
  elements: readonly Exposed[],
  longNames: LongNames,
): readonly Exposed[] {
  if (scope.kind !== "all" || (listMember !== "tools" && listMember !== "prompts")) return elements;
  const kind = listMember === "tools" ? "tool" : "prompt";
  const long = elements.filter(({ exposed }) => looksShortened(exposed));
  if (long.length === 0) return elements;
  for (const { owner } of long) longNames.learn(kind, owner);
  return elements.filter(({ exposed, owner }) => {
    if (!looksShortened(exposed)) return true;
    const holder = longNames.find(kind, exposed);
    return holder?.server === owner.server && holder.name === owner.name;
  });
}

function exposeElements(scope: Scope, member: ListMember, part: ServerResult): readonly Exposed[] {
  const spans = arrayMember(part.result, member) ?? [];
  return spans.flatMap((span) => {
    if (part.result.text[span.start] !== "{") return [];
    const element = readObject(part.result.text, span.start);
    return exposeElement(scope, member, part.server, element) ?? [];
  });
}

function exposeElement(
  scope: Scope,
  member: ListMember,
  server: string,
  element: JsonObject,
): Exposed | undefined {
  const { target: kind, key } = lists[member];
  if (kind === "resource") {
    const uri = stringMember(element, key);
    const isIncluded = uri !== undefined && includesUri(scope, server, uri);
    if (!isIncluded) return undefined;
    return { owner: { server, name: uri }, exposed: uri, text: objectText(element) };
  }
  const name = stringMember(element, "name");
  const span = findMember(element, "name");
  if (name === undefined || span === undefined) return undefined;
  const exposed = exposeName(scope, kind, server, name);
  if (exposed === undefined) return undefined;
  const owner = { server, name };
  if (exposed === name) return { owner, exposed, text: objectText(element) };
  const shifted = { start: span.start - element.start, end: span.end - element.start };
  const text = replaceSpans(objectText(element), [{ span: shifted, by: JSON.stringify(exposed) }]);
  return { owner, exposed, text };
}

/** Whether a scope shows this server's URI; only virtual servers leave any out. */
export function includesUri(scope: Scope, server: string, uri: string): boolean {
  if (scope.kind !== "virtual") return true;
  return scope.virtual.resources.some(
    (member) => member.server === server && matchesUri(member.uriPattern, uri),
  );
}

/** Whether any part of a list says that there is more. */
export function nextCursorOf(result: JsonObject): string | undefined {
  return memberText(result, "nextCursor") === "null"
    ? undefined
    : stringMember(result, "nextCursor");
}
