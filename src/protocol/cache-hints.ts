/**
 * How long a result may be kept, and for whom (revision 2026-07-28, section 2.8): `ttlMs` and `cacheScope`, read as a
 * server gave them and written as an agent may believe them. Pure.
 */
import { type JsonObject, memberText, stringMember, withMembers } from "./json-view.ts";

export type CacheScope = "public" | "private";

export interface CacheHints {
  /** 0 where there is none, or none that makes sense. */
  readonly ttlMs: number;
  /** Undefined where it is missing, or something else. */
  readonly scope: CacheScope | undefined;
}

export function readCacheHints(result: JsonObject): CacheHints {
  const ttlMs = Number(memberText(result, "ttlMs") ?? 0);
  const scope = stringMember(result, "cacheScope");
  return {
    ttlMs: Number.isSafeInteger(ttlMs) && ttlMs > 0 ? ttlMs : 0,
    scope: scope === "public" || scope === "private" ? scope : undefined,
  };
}

/**
 * The result with hints that hold for one agent behind a policy: never longer than `ttlMsMax`, and private, because
 * another agent may see something else. The same object where they held already.
 */
export function withHonestHints(result: JsonObject, ttlMsMax: number): JsonObject {
  const given = memberText(result, "ttlMs");
  const { ttlMs, scope } = readCacheHints(result);
  const honestMs = Math.max(0, Math.min(ttlMs, Math.floor(ttlMsMax)));
  const changes: Record<string, string> = {};
  if (given !== undefined && given !== String(honestMs)) changes.ttlMs = String(honestMs);
  if (scope !== "private" && memberText(result, "cacheScope") !== undefined) {
    changes.cacheScope = '"private"';
  }
  return Object.keys(changes).length === 0 ? result : withMembers(result, changes);
}
