/**
 * May this principal do this? Resolves the scope and the target's own name, asks the policy, and refuses so that
 * a hidden target and one that does not exist read the same (I-09). On the way out it filters lists by the same
 * questions, so that what is listed can be called and the reverse (P23). What an allowed call still owes is demanded
 * here too. Malformed messages and unknown methods end
 * here: by now their sender is known and has paid for them.
 */
import { createFault, type Fault } from "../../errors/fault.ts";
import type { Principal } from "../../identity/principal.ts";
import type { CallFacts, Question } from "../../policy/rule.ts";
import { findMember, type JsonObject, readObject, stringMember } from "../../protocol/json-view.ts";
import { readListenFilter } from "../../protocol/listen-filter.ts";
import type { McpRequest } from "../../protocol/messages.ts";
import { type ListMember, lists, type TargetKind } from "../../protocol/methods.ts";
import { declaresTasks, tasksUndeclared } from "../../protocol/tasks.ts";
import { asPrivate } from "../../route/hints.ts";
import { filterList, nextCursorOf } from "../../route/merge.ts";
import { looksShortened, type ResolvedName, resolveName, serversOf } from "../../route/names.ts";
import type { CurrentSnapshot, Scope, Snapshot } from "../../state/snapshot.ts";
import { answerWith, type Exchange, proceed, refuse, type Verdict } from "../exchange.ts";
import { planListen } from "../listening/listen-plan.ts";
import type { LongNameMemory } from "../long-names.ts";
import { actions, callFacts, type NamedTarget, namedTarget } from "../named-target.ts";
import { unmetFault } from "../obligations.ts";
import type { ResourceOwners } from "../resource-owners.ts";
import type { Stage } from "../stage.ts";
import { authorizeTask, type TaskAccessDeps } from "../task-access.ts";
import { isScopeInSight, isServerInSight } from "../tenant-sight.ts";

export interface AuthorizeDeps extends TaskAccessDeps {
  readonly current: Pick<CurrentSnapshot, "isFresh">;
  readonly owners: ResourceOwners;
  readonly longNames: LongNameMemory;
}

const emptyResult = readObject("{}");

export function createAuthorizeStage(deps: AuthorizeDeps): Stage {
  return {
    name: "authorize",
    enter(x: Exchange): Verdict | Promise<Verdict> {
      const { message } = x.incoming;
      if (message.kind === "malformed") return refuse(message.fault);
      const { principal } = x;
      if (principal === undefined) return refuse(createFault("internal", "Internal error"));
      if (!deps.current.isFresh()) return refuse(policyUnavailable);
      x.scope = visibleScope(x.snapshot, principal, x.incoming.scope);
      if (x.scope === undefined) return refuse(scopeUnknown);
      if (message.kind === "notification") return answerWith(emptyResult);
      // Of several servers' skills nothing says whose they are.
      if (x.method === undefined || (x.method.isAboutSkills && x.scope.kind !== "server")) {
        return refuse(createFault("method-not-found", "Method not found"));
      }
      if (x.method.isAboutTask) {
        const asked = { scope: x.scope, principal, snapshot: x.snapshot, call: callFacts(x) };
        return authorizeTask(deps, x, asked, message);
      }
      if (x.method.lasts) return authorizeListen(deps, x, x.scope, principal, message);
      const named = namedTarget(x.method, message);
      if (named === undefined) return proceed;
      if ("fault" in named) return refuse(named.fault);
      return authorizeTarget(deps, x, x.scope, principal, named);
    },
    leave(x: Exchange): void {
      const { principal, scope, method } = x;
      if (x.outcome?.kind !== "result" || !method?.cacheable) return;
      if (principal === undefined || scope === undefined) return;
      const { result } = x.outcome;
      const { listMember: list } = method;
      const keep = (element: JsonObject) =>
        list !== undefined && isListed(deps, x.snapshot, principal, scope, list, element);
      const kept = list === undefined ? result : filterList(result, list, keep);
      const isShared = kept === result && isShareable(x, scope, principal, result);
      x.outcome = { kind: "result", result: isShared ? result : asPrivate(kept) };
    },
  };
}

/**
 * Whether what a server calls `public` may be passed on so: lists whose operator said that they do not depend on who
 * asks (CA-01), seen whole by this principal. The pages of one list must agree and are filtered one by one, so a list
 * of several pages never is.
 */
function isShareable(x: Exchange, scope: Scope, principal: Principal, result: JsonObject): boolean {
  if (x.method?.listMember === undefined || nextCursorOf(result) !== undefined) return false;
  if (x.request?.params && findMember(x.request.params, "cursor") !== undefined) return false;
  return serversOf(scope, x.snapshot.servers).every(
    (server) =>
      x.snapshot.servers.get(server)?.listsPublic === true &&
      x.snapshot.policy.seesServer(principal, server),
  );
}

/** Nobody knows any more what policy says; nothing is hidden by it, so agents keep what they know of tools (AZ-04). */
const policyUnavailable = createFault("policy-denied", "Denied by policy", {
  reason: "policy_unavailable",
});
const scopeUnknown = createFault("scope-unknown", "Not found", { reason: "scope-unknown" });

/** The scope, where it exists and the principal may see anything in it. */
export function visibleScope(
  snapshot: Snapshot,
  principal: Principal,
  name: string,
): Scope | undefined {
  const scope = snapshot.scopes.get(name);
  if (scope === undefined || scope.kind === "all") return scope;
  if (!isScopeInSight(scope, principal)) return undefined;
  const sees = serversOf(scope, snapshot.servers).some((server) =>
    snapshot.policy.seesServer(principal, server),
  );
  return sees ? scope : undefined;
}

/** A listener hears of what it may read and list; what it may not is left out, as if there were no such thing. */
async function authorizeListen(
  deps: AuthorizeDeps,
  x: Exchange,
  scope: Scope,
  principal: Principal,
  request: McpRequest,
): Promise<Verdict> {
  const filter = readListenFilter(request.params);
  if (filter === undefined) {
    const message = "Invalid params: notifications must be an object that says what to listen for";
    return refuse(createFault("invalid-params", message));
  }
  if (filter.taskIds.length > 0 && !declaresTasks(request.envelope.clientCapabilitiesText)) {
    return refuse(tasksUndeclared);
  }
  const asked = { filter, scope, principal, snapshot: x.snapshot, call: callFacts(x) };
  const plan = await planListen(deps, asked);
  x.listened = { filter, plan };
  return proceed;
}

function authorizeTarget(
  deps: AuthorizeDeps,
  x: Exchange,
  scope: Scope,
  principal: Principal,
  named: NamedTarget,
): Verdict | Promise<Verdict> {
  const { kind, given } = named;
  if (kind !== "resource") {
    const { servers, policy } = x.snapshot;
    const decideNamed = () => {
      const resolved = resolveName(scope, kind, given, servers, deps.longNames);
      return decide(deps, x, principal, named, resolved);
    };
    const isUnknown = scope.kind === "all" && looksShortened(given);
    if (!isUnknown || deps.longNames.find(kind, given) !== undefined) return decideNamed();
    const visible = serversOf(scope, servers).filter((one) => policy.seesServer(principal, one));
    const clientCapabilitiesText = x.request?.envelope.clientCapabilitiesText ?? "{}";
    const asked = { kind, exposed: given, servers: visible, clientCapabilitiesText };
    return deps.longNames.lookUp(asked).then(decideNamed);
  }
  // Whose a resource is does not depend on the hour or the peer: visible ones are candidates, the owner's is decided.
  const may = (server: string) =>
    x.snapshot.policy.decide(principal, question(server, named, named.given)).allowed;
  const owner = deps.owners.find({
    scope,
    uri: named.given,
    snapshot: x.snapshot,
    may,
  });
  const resolve = (server: string | undefined) => server && { server, name: named.given };
  if (owner instanceof Promise) {
    return owner.then((server) => decide(deps, x, principal, named, resolve(server) || undefined));
  }
  return decide(deps, x, principal, named, resolve(owner) || undefined);
}

function decide(
  deps: AuthorizeDeps,
  x: Exchange,
  principal: Principal,
  named: NamedTarget,
  resolved: ResolvedName | undefined,
): Verdict {
  if (resolved === undefined || !isServerInSight(x.snapshot, principal, resolved.server))
    return refuse(targetHidden(named.kind, named.given, "no-such-target"));
  const call = callFacts(x, named.argumentsText);
  const asked = question(resolved.server, named, resolved.name, call);
  const decision = x.snapshot.policy.decide(principal, asked);
  x.decision = decision;
  x.resolved = resolved;
  if (decision.allowed) {
    const unmet = unmetFault(decision.obligations, principal, call.nowMs);
    return unmet === undefined ? proceed : refuse(unmet);
  }
  deps.metrics.count("mcp_gateway_policy_denials_total", { server: resolved.server });
  // What some other call may do is listed, so there is nothing to hide (AZ-02): this call may not.
  return x.snapshot.policy.decide(principal, { ...asked, call: undefined }).allowed
    ? refuse(createFault("policy-denied", "Denied by policy", { reason: decision.ruleId }))
    : refuse(targetHidden(named.kind, named.given, decision.ruleId));
}

/** Whether any call of the target could be allowed; with the call's facts, whether this one is. */
function question(server: string, named: NamedTarget, target: string, call?: CallFacts): Question {
  return { server, kind: named.kind, target, action: named.action, call };
}

/** The one answer for "does not exist" and "not for you": route gives the same where a server knows no such name. */
export function targetHidden(kind: TargetKind, given: string, reason: string): Fault {
  if (kind === "resource") {
    return createFault("target-hidden", "Resource not found", { data: { uri: given }, reason });
  }
  const label = kind === "tool" ? "tool" : "prompt";
  return createFault("target-hidden", `Unknown ${label}: ${given.slice(0, 128)}`, { reason });
}

function isListed(
  { longNames }: AuthorizeDeps,
  snapshot: Snapshot,
  principal: Principal,
  scope: Scope,
  list: ListMember,
  element: JsonObject,
): boolean {
  const { target: kind, key } = lists[list];
  if (kind === "resource") {
    const uri = stringMember(element, key);
    if (uri === undefined) return false;
    // A list does not say whose a resource is: it is listed where any server of the scope may be asked for it.
    return serversOf(scope, snapshot.servers).some(
      (server) =>
        snapshot.policy.decide(principal, {
          server,
          kind: "resource",
          target: uri,
          action: "read_resource",
        }).allowed,
    );
  }
  const name = stringMember(element, key);
  const resolved =
    name === undefined ? undefined : resolveName(scope, kind, name, snapshot.servers, longNames);
  if (resolved === undefined) return false;
  const asked = {
    server: resolved.server,
    kind,
    target: resolved.name,
    action: actions[kind],
  } as const;
  return snapshot.policy.decide(principal, asked).allowed;
}
