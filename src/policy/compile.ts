/**
 * Turns roles, bindings, rules and client lists into one compiled policy. Pure; called once for each snapshot.
 *
 * What the actions mean, so that lists and calls agree (P23): `list_tools` and `invoke_tool` are one question, and a
 * tool is visible exactly when it may be called. A grant of `invoke_tool` therefore implies listing, a deny of either
 * action hides and forbids, and a grant of `list_tools` alone shows the server but none of its tools.
 */
import { LRUCache } from "lru-cache";
import { GatewayError } from "../errors/fault.ts";
import type { TargetKind } from "../protocol/methods.ts";
import { type Grants, parseClientGrants, parseRoleGrants } from "./grants.ts";
import type { Asker, Binding, Decision, PolicyInput, Question } from "./rule.ts";
import { actionsOf, compileRules, isNamed, type RuleSet } from "./rules.ts";
import { canonicalUri } from "./uri.ts";

export interface CompiledPolicy {
  /** Decides one question. Pure and total: every failure to decide is a denial. */
  decide(asker: Asker, question: Question): Decision;
  /** Whether the asker may see anything at all on this server; scopes without it look unknown. */
  seesServer(asker: Asker, server: string): boolean;
}

export interface PolicyOptions {
  /** Decisions remembered. Default 20,000. */
  readonly rememberedMax?: number;
}

/** Who asks, with everything that follows from it worked out once. */
interface AskerView {
  /** Everything a decision depends on, unambiguously joined. */
  readonly key: string;
  readonly asker: Asker;
  readonly client: Grants | undefined;
  readonly roles: readonly { readonly name: string; readonly grants: Grants }[];
}

const kinds: readonly TargetKind[] = ["tool", "resource", "prompt"];
const targetLengthMax = 4096;
/** Longer targets are decided but not remembered, so that memory is bounded in bytes too. */
const rememberedLengthMax = 512;

/** Throws invalid-params, naming the entry at fault, where any part of the input is unusable. */
export function compilePolicy(input: PolicyInput, options: PolicyOptions = {}): CompiledPolicy {
  const index = {
    clients: indexBy(input.clients, "client", (one) => one.id, parseClientGrants),
    roles: indexBy(input.roles, "role", (one) => one.name, parseRoleGrants),
    enabled: new Set(input.clients.filter((one) => one.enabled).map((one) => one.id)),
    bindings: indexBy(
      input.bindings,
      "binding",
      (one) => one.name,
      (one) => one,
    ),
    rulesOf: compileRules([
      ...indexBy(
        input.rules,
        "rule",
        (one) => one.name,
        (one) => one,
      ).values(),
    ]),
  };
  const max = options.rememberedMax ?? 20_000;
  const decisions = new LRUCache<string, Decision>({ max });
  const sights = new LRUCache<string, boolean>({ max });
  const views = new WeakMap<Asker, AskerView>();

  function viewOf(asker: Asker): AskerView {
    const known = views.get(asker);
    if (known !== undefined) return known;
    const names = [...effectiveRoles(asker, index.bindings.values())].sort();
    const view: AskerView = {
      key: JSON.stringify([asker.id, asker.clientId ?? null, asker.subject ?? null, names]),
      asker,
      client: index.enabled.has(asker.clientId ?? "")
        ? index.clients.get(asker.clientId ?? "")
        : undefined,
      roles: names.flatMap((name) => {
        const grants = index.roles.get(name);
        return grants === undefined ? [] : [{ name, grants }];
      }),
    };
    views.set(asker, view);
    return view;
  }

  return {
    decide(asker, question) {
      try {
        const view = viewOf(asker);
        const { server, kind, target, action } = question;
        if (target.length > rememberedLengthMax)
          return decide(view, question, index.rulesOf(server));
        const key = `${view.key}${kind} ${action} ${server.length} ${server}${target}`;
        const known = decisions.get(key);
        if (known !== undefined) return known;
        const decision = Object.freeze(decide(view, question, index.rulesOf(server)));
        decisions.set(key, decision);
        return decision;
      } catch {
        return denied("default", "the policy could not be evaluated");
      }
    },
    seesServer(asker, server) {
      try {
        const view = viewOf(asker);
        const key = view.key + server;
        const known = sights.get(key);
        if (known !== undefined) return known;
        const sees = kinds.some((kind) => mayReach(view, kind, server, index.rulesOf(server)));
        sights.set(key, sees);
        return sees;
      } catch {
        return false;
      }
    },
  };
}

function indexBy<In, Out>(
  list: readonly In[],
  kind: string,
  nameOf: (one: In) => string,
  parse: (one: In) => Out,
): ReadonlyMap<string, Out> {
  const index = new Map<string, Out>();
  for (const one of list) {
    const name = nameOf(one);
    if (index.has(name)) throw new GatewayError("invalid-params", `${kind} "${name}" exists twice`);
    index.set(name, parse(one));
  }
  return index;
}

/** The asker's own roles and those that bindings give. */
export function effectiveRoles(asker: Asker, bindings: Iterable<Binding>): ReadonlySet<string> {
  const roles = new Set(asker.roles);
  for (const { users, groups, roles: given } of bindings) {
    const names = users.some((name) => isNamed(asker, name));
    if (!names && !asker.groups.some((group) => groups.includes(group))) continue;
    for (const role of given) roles.add(role);
  }
  return roles;
}

/** Denies first, whatever their priority; then any grant; then no. */
function decide(view: AskerView, question: Question, rules: RuleSet): Decision {
  const { kind, server } = question;
  if (!actionsOf[kind].includes(question.action)) {
    return denied("default", `${question.action} does not apply to a ${kind}`);
  }
  const target = kind === "resource" ? canonicalUri(question.target) : question.target;
  if (target === undefined) return denied("default", "the URI has no canonical form");
  if (target.length > targetLengthMax) return denied("default", "the target's name is too long");
  const deny = rules.denies.find(
    (rule) => rule.coversKind(kind) && rule.coversAsker(view.asker) && rule.coversTarget(target),
  );
  if (deny !== undefined) return denied(`rule:${deny.name}`, `by rule ${deny.name}`);
  const allow = rules.allows.find(
    (rule) => rule.grantsKind(kind) && rule.coversAsker(view.asker) && rule.coversTarget(target),
  );
  if (allow !== undefined) return allowed(`rule:${allow.name}`, `by rule ${allow.name}`);
  if (view.client?.has(kind, server, target)) {
    return allowed(`client:${view.asker.clientId}`, `by the list of client ${view.asker.clientId}`);
  }
  const role = view.roles.find(({ grants }) => grants.has(kind, server, target));
  if (role !== undefined) return allowed(`role:${role.name}`, `by role ${role.name}`);
  return denied("default", "by default");
}

/** Whether some target of this kind on the server might be allowed. */
function mayReach(view: AskerView, kind: TargetKind, server: string, rules: RuleSet): boolean {
  const blanket = rules.denies.some(
    (rule) => rule.isBlanket && rule.coversKind(kind) && rule.coversAsker(view.asker),
  );
  if (blanket) return false;
  return (
    view.client?.touches(kind, server) === true ||
    view.roles.some(({ grants }) => grants.touches(kind, server)) ||
    rules.allows.some((rule) => rule.coversKind(kind) && rule.coversAsker(view.asker))
  );
}

function allowed(ruleId: string, how: string): Decision {
  return { allowed: true, reason: `allowed ${how}`, ruleId };
}

function denied(ruleId: string, how: string): Decision {
  return {
    allowed: false,
    reason: how.startsWith("by ") ? `denied ${how}` : `denied: ${how}`,
    ruleId,
  };
}
