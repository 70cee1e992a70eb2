/**
 * Answers from memory what may be answered from memory: list results, calls of tools an operator declared cacheable,
 * and resources whose server says how long they hold. An entry belongs to one credential unless the operator declared
 * it public and its server does not object; the whole identity is the associated data of its encryption, so a wrong
 * hit does not decrypt. Keeps only clean, complete, sanitised results. What it keeps is not yet filtered for the
 * principal: authorize does that on every way out. What agents are told of freshness is never more than is left here.
 */
import type { CacheIdentity } from "../../cache/cache-key.ts";
import type { ReplyCache } from "../../cache/reply-cache.ts";
import {
  findMember,
  type JsonObject,
  memberText,
  objectText,
  readObject,
  stringMember,
} from "../../protocol/json-view.ts";
import type { McpRequest } from "../../protocol/messages.ts";
import { readHints, withTtlAtMost } from "../../route/hints.ts";
import { serversOf } from "../../route/names.ts";
import { type ServerSpec, toolSettingOf } from "../../servers/spec.ts";
import { answerWith, type CachePlan, type Exchange, proceed, type Verdict } from "../exchange.ts";
import type { ServerChanges } from "../server-changes.ts";
import type { Stage } from "../stage.ts";

export interface CacheDeps {
  readonly cache: ReplyCache;
  readonly changes: ServerChanges;
}

/** Longest an agent is told that something holds where nothing of it is kept here. */
const hintMsMax = 24 * 60 * 60 * 1_000;
/** What an operator changes reaches every agent within this time, those that keep lists themselves included. */
const operatorReachMs = 1_000;

export function createCacheStage({ cache, changes }: CacheDeps): Stage {
  return {
    name: "cache",
    enter(x: Exchange): Verdict {
      const plan = planOf(x, changes);
      if (plan === undefined) return proceed;
      const { identity, ownIdentity } = plan;
      const found = cache.get(identity) ?? (ownIdentity && cache.get(ownIdentity));
      if (found === undefined) {
        x.cachePlan = plan;
        return proceed;
      }
      x.cached = true;
      return answerWith(hinted(x, readObject(found.text), found.leftMs));
    },
    leave(x: Exchange): void {
      if (x.cached || x.outcome?.kind !== "result") return;
      const { result } = x.outcome;
      const keptMs = keep(cache, x, result);
      const honest = hinted(x, result, keptMs === 0 ? hintMsMax : keptMs);
      if (honest !== result) x.outcome = { kind: "result", result: honest };
    },
  };
}

/** Keeps what may be kept, and says for how many milliseconds. */
function keep(cache: ReplyCache, x: Exchange, result: JsonObject): number {
  const plan = x.cachePlan;
  if (plan === undefined || x.relayed) return 0;
  if (memberText(result, "isError") === "true") return 0;
  if ((stringMember(result, "resultType") ?? "complete") !== "complete") return 0;
  // A merged list with a server missing must not outlive the outage.
  if (x.answers.some((answer) => answer.outcome.kind !== "result")) return 0;
  const { identity, ownIdentity } = plan;
  const isPrivate = stringMember(result, "cacheScope") === "private";
  const kept = isPrivate ? (ownIdentity ?? identity) : identity;
  const hintMs = readHints(result).ttlMs ?? 0;
  return cache.put(kept, objectText(result), lifetimeMs(plan.ttlMs, hintMs));
}

/** A server that says 0, or nothing, leaves it to the operator. */
function lifetimeMs(planned: CachePlan["ttlMs"], hintMs: number): number {
  if (planned === "hinted") return hintMs;
  return hintMs > 0 ? Math.min(hintMs, planned) : planned;
}

/** What the agent is told it may keep: never longer than it is good here, and lists no longer than operators wait. */
function hinted(x: Exchange, result: JsonObject, leftMs: number): JsonObject {
  if (!x.method?.cacheable) return result;
  const isList = x.method.listMember !== undefined || x.method.nameMember === undefined;
  return withTtlAtMost(result, isList ? Math.min(leftMs, operatorReachMs) : leftMs);
}

/** What to look under and how long to keep, or undefined where the request is not cacheable. */
function planOf(x: Exchange, changes: ServerChanges): CachePlan | undefined {
  const { request, method, principal, scope } = x;
  if (
    request === undefined ||
    method === undefined ||
    principal === undefined ||
    scope === undefined
  )
    return undefined;
  if (method.listMember !== undefined) {
    const servers = serversOf(scope, x.snapshot.servers);
    const specs = servers.flatMap((name) => x.snapshot.servers.get(name) ?? []);
    if (specs.some(needsConsent)) return undefined;
    return listPlan(x, request, specs, changes.count(servers, method.method));
  }
  if (x.resolved === undefined || isRetry(request)) return undefined;
  const spec = x.snapshot.servers.get(x.resolved.server);
  if (spec !== undefined && needsConsent(spec)) return undefined;
  if (method.target === "resource") {
    const version = changes.count([x.resolved.server], method.method);
    return planFor(x, request, { isPublic: false, ttlMs: "hinted", version });
  }
  if (method.method !== "tools/call") return undefined;
  const setting = settingOf(x);
  if (setting === undefined || setting.cacheTtlMs <= 0) return undefined;
  const { cachePublic: isPublic, cacheTtlMs: ttlMs } = setting;
  return planFor(x, request, { isPublic, ttlMs, version: 0 });
}

/** What was answered under a user's consent is not there once they took it back, or for another client of theirs. */
function needsConsent({ auth }: ServerSpec): boolean {
  return auth?.oauth?.grant === "authorization-code";
}

/** What a question's answers led to belongs to that one exchange (CA-06). */
function isRetry({ params }: McpRequest): boolean {
  if (params === undefined) return false;
  return (
    findMember(params, "requestState") !== undefined ||
    findMember(params, "inputResponses") !== undefined
  );
}

interface Keeping {
  readonly isPublic: boolean;
  readonly ttlMs: CachePlan["ttlMs"];
  /** Rises when a server says that what it would answer has changed. */
  readonly version: number;
}

function planFor(x: Exchange, request: McpRequest, keeping: Keeping): CachePlan {
  const { isPublic, ttlMs, version } = keeping;
  return {
    identity: identityOf(x, request, isPublic, version),
    ownIdentity: isPublic ? identityOf(x, request, false, version) : undefined,
    ttlMs,
  };
}

function listPlan(
  x: Exchange,
  request: McpRequest,
  specs: readonly ServerSpec[],
  version: number,
): CachePlan | undefined {
  const ttlMs = Math.min(...specs.map((spec) => spec.listTtlMs));
  if (specs.length === 0 || ttlMs <= 0) return undefined;
  // A joined list holds what this principal sees of several servers: it is never anybody else's.
  const isPublic = x.scope?.kind === "server" && specs.every((spec) => spec.listsPublic);
  return planFor(x, request, { isPublic, ttlMs, version });
}

/** What the operator said about the tool being called. */
export function settingOf(x: Exchange) {
  const { resolved } = x;
  if (resolved === undefined) return undefined;
  const server = x.snapshot.servers.get(resolved.server);
  return server && toolSettingOf(server, resolved.name);
}

function identityOf(
  x: Exchange,
  request: McpRequest,
  isPublic: boolean,
  version: number,
): CacheIdentity {
  const { params } = request;
  const own = (name: string) => (params === undefined ? undefined : memberText(params, name));
  return {
    tenant: x.principal?.tenant,
    workspace: x.principal?.workspace,
    principalId: isPublic ? undefined : x.principal?.id,
    server: x.resolved?.server ?? "",
    method: request.method,
    target: x.resolved?.name,
    stateRevision: x.snapshot.stateRevision,
    // Lists may vary with what the agent says it can do. A private reply belongs to the credential it was made
    // for: another token of the same principal may carry other roles, and a joined list holds what its maker saw.
    variant: [
      isPublic ? "" : (x.principal?.credentialDigest ?? ""),
      x.incoming.scope,
      x.incoming.revision,
      request.envelope.clientCapabilitiesText,
      own("cursor") ?? "",
      String(version),
      // Kept as it was masked: by this profile, for whoever must be shown it so.
      x.decision?.obligations?.redaction ?? "",
    ],
    argumentsText: own("arguments"),
  };
}
