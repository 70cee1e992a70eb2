/**
 * Caching hints of lists (revision 2026-07-28, section 2.8), read with distrust: what a server does not say, or says
 * wrongly, counts as the strictest. Pure; the merging of lists and authorize use it.
 */
import { type JsonObject, memberText, replaceMember, stringMember } from "../protocol/json-view.ts";

export interface Hints {
  /** Undefined where nothing was said, as legacy servers do. */
  readonly ttlMs: number | undefined;
  readonly isPublic: boolean;
}

/** `cacheScope` of replies that another principal must not get. */
const privateScope = '"private"';

export function readHints(result: JsonObject): Hints {
  const ttlText = memberText(result, "ttlMs");
  const isPublic = stringMember(result, "cacheScope") === "public";
  if (ttlText === undefined) return { ttlMs: undefined, isPublic };
  return { ttlMs: /^[0-9]{1,15}$/.test(ttlText) ? Number(ttlText) : 0, isPublic };
}

/** The strictest of all parts. */
export function joinHints(parts: readonly Hints[]): Hints {
  const ttls = parts.flatMap(({ ttlMs }) => (ttlMs === undefined ? [] : [ttlMs]));
  return {
    ttlMs: ttls.length === 0 ? undefined : Math.min(...ttls),
    isPublic: parts.length > 0 && parts.every((part) => part.isPublic),
  };
}

/** The hints as members of an object that has others before them. */
export function renderHints({ ttlMs, isPublic }: Hints): string {
  const ttl = ttlMs === undefined ? "" : `,"ttlMs":${ttlMs}`;
  return `${ttl},"cacheScope":${isPublic ? '"public"' : privateScope}`;
}

/** The result with its `ttlMs`, where it has one, saying at most so many milliseconds; no other character changes. */
export function withTtlAtMost(result: JsonObject, mostMs: number): JsonObject {
  const { ttlMs } = readHints(result);
  if (ttlMs === undefined) return result;
  const by = String(Math.max(0, Math.min(ttlMs, Math.floor(mostMs))));
  if (memberText(result, "ttlMs") === by) return result;
  return replaceMember(result, "ttlMs", by);
}

/** The result with its `cacheScope`, where it has one, saying `private`; no other character changes. */
export function asPrivate(result: JsonObject): JsonObject {
  if (memberText(result, "cacheScope") === privateScope) return result;
  return replaceMember(result, "cacheScope", privateScope);
}
