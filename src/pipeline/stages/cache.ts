/**
 * Answers from memory what may be answered from memory: list results, and calls of tools an operator declared
 * cacheable. An entry belongs to one credential unless the operator declared it public; the whole identity is the
 * associated data of its encryption, so a wrong hit does not decrypt. Keeps only clean, complete, sanitised results.
 * What it keeps is not yet filtered for the principal: authorize does that on every way out.
 */
import type { CacheIdentity } from "../../cache/cache-key.ts";
import type { ReplyCache } from "../../cache/reply-cache.ts";
import { memberText, objectText, readObject, stringMember } from "../../protocol/json-view.ts";
import type { McpRequest } from "../../protocol/messages.ts";
import { serversOf } from "../../route/names.ts";
import type { ServerSpec } from "../../servers/spec.ts";
import { answerWith, type CachePlan, type Exchange, proceed, type Verdict } from "../exchange.ts";
import type { Stage } from "../stage.ts";

export interface CacheDeps {
  readonly cache: ReplyCache;
}

export function createCacheStage(deps: CacheDeps): Stage {
  return {
    name: "cache",
    enter(x: Exchange): Verdict {
      const plan = planOf(x);
      if (plan === undefined) return proceed;
      const found = deps.cache.get(plan.identity);
      if (found === undefined) {
        x.cachePlan = plan;
        return proceed;
      }
      x.cached = true;
      return answerWith(readObject(found));
    },
    leave(x: Exchange): void {
      const plan = x.cachePlan;
      if (plan === undefined || x.relayed || x.outcome?.kind !== "result") return;
      const { result } = x.outcome;
      if (memberText(result, "isError") === "true") return;
      if ((stringMember(result, "resultType") ?? "complete") !== "complete") return;
      // A merged list with a server missing must not outlive the outage.
      if (x.answers.some((answer) => answer.outcome.kind !== "result")) return;
      deps.cache.put(plan.identity, objectText(result), plan.ttlMs);
    },
  };
}

/** What to look under and how long to keep, or undefined where the request is not cacheable. */
function planOf(x: Exchange): CachePlan | undefined {
  const { request, method, principal, scope } = x;
  if (
    request === undefined ||
    method === undefined ||
    principal === undefined ||
    scope === undefined
  )
    return undefined;
  if (method.listMember !== undefined) {
    const specs = serversOf(scope, x.snapshot.servers).flatMap(
      (name) => x.snapshot.servers.get(name) ?? [],
    );
    return listPlan(x, request, specs);
  }
  if (method.method !== "tools/call" || x.resolved === undefined) return undefined;
  const setting = settingOf(x);
  if (setting === undefined || setting.cacheTtlMs <= 0) return undefined;
  // A further round of a call is about its answers, not about its arguments (CA-06).
  if (request.params?.members.some(({ key }) => roundMembers.has(key))) return undefined;
  return { identity: identityOf(x, request, setting.cachePublic), ttlMs: setting.cacheTtlMs };
}

const roundMembers = new Set(["requestState", "inputResponses"]);

function listPlan(
  x: Exchange,
  request: McpRequest,
  specs: readonly ServerSpec[],
): CachePlan | undefined {
  const ttlMs = Math.min(...specs.map((spec) => spec.listTtlMs));
  if (specs.length === 0 || ttlMs <= 0) return undefined;
  // A joined list holds what this principal sees of several servers: it is never anybody else's.
  const isPublic = x.scope?.kind === "server" && specs.every((spec) => spec.listsPublic);
  return { identity: identityOf(x, request, isPublic), ttlMs };
}

/** What the operator said about the tool being called. */
export function settingOf(x: Exchange) {
  const { resolved } = x;
  if (resolved === undefined) return undefined;
  return x.snapshot.servers
    .get(resolved.server)
    ?.toolSettings.find((setting) => setting.tool === resolved.name);
}

function identityOf(x: Exchange, request: McpRequest, isPublic: boolean): CacheIdentity {
  const { params } = request;
  const own = (name: string) => (params === undefined ? undefined : memberText(params, name));
  return {
    tenant: x.principal?.tenant,
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
    ],
    argumentsText: own("arguments"),
  };
}
