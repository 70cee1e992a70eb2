/**
 * Compiles rules, each condition once, and finds those that may concern a holder and a server without looking at the
 * others. Order only says which of several matching rules is named; it never changes what is decided.
 */
import { GatewayError } from "../errors/fault.ts";
import type { TargetKind } from "../protocol/methods.ts";
import { compileExpression, type Expression } from "./expression.ts";
import { type Holder, indexByTenant, isBare, isNamed, isOfTenant, rolesMeant } from "./holder.ts";
import type { RuleObligations } from "./obligations.ts";
import { allowed, denied } from "./reasons.ts";
import type { Action, Decision, RiskTier, Rule } from "./rule.ts";
import { compileTargetPattern, type TargetTest } from "./target-pattern.ts";

export interface CompiledRule {
  readonly name: string;
  /** In naming order. */
  readonly place: number;
  readonly source: Rule;
  readonly effect: Rule["effect"];
  /** What is decided where it is the one that decides. */
  readonly decision: Decision;
  readonly obligations: RuleObligations | undefined;
  /** Whether it speaks about every target of its kinds, as far as its plain conditions say. */
  readonly isBlanket: boolean;
  readonly when: Expression | undefined;
  coversKind(kind: TargetKind): boolean;
  /** Whether an allow rule lets targets of this kind be used; one for `list_tools` alone does not. */
  grantsKind(kind: TargetKind): boolean;
  /** `tier` is that of a tool; other targets have none. */
  coversTarget(target: string, tier: RiskTier | undefined): boolean;
}

/** The enabled rules about one holder and server, in naming order. */
export interface RuleSet {
  readonly denies: readonly CompiledRule[];
  readonly allows: readonly CompiledRule[];
  readonly requires: readonly CompiledRule[];
}

/** The actions that concern each kind of target. Listing a tool and calling it are one question (P23). */
export const actionsOf: Readonly<Record<TargetKind, readonly Action[]>> = {
  tool: ["list_tools", "invoke_tool"],
  resource: ["read_resource"],
  prompt: ["get_prompt"],
};

/** Disabled rules are checked too, so that enabling one cannot fail. Throws invalid-params naming the rule at fault. */
export function compileRules(
  rules: readonly Rule[],
): (holder: Holder) => (server: string) => RuleSet {
  indexByTenant(rules, "rule", ({ name }) => name);
  const compiled = rules.toSorted(byNaming).map(compileRule);
  const enabled = compiled.filter(({ source }) => source.enabled);
  // By the server and the principal they name, so that few are looked at; most rules name one or the other.
  const index = new Map(
    [...groupBy(enabled, ({ source }) => source.condition.server)].map(([server, about]) => [
      server,
      groupBy(about, ({ source }) => source.condition.principal),
    ]),
  );

  return (holder) => {
    const { id, clientId, subject } = holder.asker;
    const names = [...new Set([undefined, id, clientId, subject])];
    const about = (server: string | undefined) => {
      const byPrincipal = index.get(server);
      if (byPrincipal === undefined) return [];
      const named = names.flatMap((name) => byPrincipal.get(name) ?? []);
      return named.filter(({ source }) => covers(source, holder));
    };
    const anywhere = about(undefined);
    const elsewhere = split(anywhere);
    const sets = new Map<string, RuleSet>();
    return (server) => {
      // At most as many sets as servers that rules name: all others share one.
      if (!index.has(server)) return elsewhere;
      const known = sets.get(server);
      if (known !== undefined) return known;
      const set = split([...anywhere, ...about(server)]);
      sets.set(server, set);
      return set;
    };
  };
}

/** Priority first, then the name; of one name, the common rule before the tenant's. */
function byNaming(a: Rule, b: Rule): number {
  if (a.priority !== b.priority) return b.priority - a.priority;
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return (a.tenant ?? "") < (b.tenant ?? "") ? -1 : 1;
}

function covers(rule: Rule, holder: Holder): boolean {
  const { principal, roles, groups, workspaces } = rule.condition;
  const { asker } = holder;
  if (!isOfTenant(rule, asker)) return false;
  if (principal !== undefined && !isNamed(asker, principal) && !isBare(principal, asker.clientId)) {
    return false;
  }
  const meant = rolesMeant(rule, holder);
  return (
    isAnyOf(roles, (role) => meant.has(role)) &&
    isAnyOf(groups, (group) => asker.groups.includes(group)) &&
    isAnyOf(workspaces, (workspace) => workspace === asker.workspace)
  );
}

/** No list, or an empty one, asks for nothing. */
function isAnyOf<T>(list: readonly T[] | undefined, matches: (one: T) => boolean): boolean {
  return list === undefined || list.length === 0 || list.some(matches);
}

function split(rules: readonly CompiledRule[]): RuleSet {
  const sorted = rules.toSorted((a, b) => a.place - b.place);
  const of = (effect: Rule["effect"]) => sorted.filter((rule) => rule.effect === effect);
  return { denies: of("deny"), allows: of("allow"), requires: of("require") };
}

function groupBy<K>(rules: readonly CompiledRule[], keyOf: (rule: CompiledRule) => K) {
  const groups = new Map<K, CompiledRule[]>();
  for (const rule of rules) {
    const key = keyOf(rule);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [rule]);
    else group.push(rule);
  }
  return groups;
}

function compileRule(rule: Rule, place: number): CompiledRule {
  const { targetPattern, ignoreCase, action, riskTiers, when } = rule.condition;
  const where = `rule "${rule.name}"`;
  if (rule.effect === "deny" && rule.obligations !== undefined) {
    throw new GatewayError("invalid-params", `${where}: a deny rule has no obligations`);
  }
  if (rule.effect === "require" && rule.obligations === undefined) {
    throw new GatewayError("invalid-params", `${where}: a require rule needs obligations`);
  }
  const anyAction = action === undefined || action === "*";
  const anyTier = riskTiers === undefined || riskTiers.length === 0;
  const isTarget: TargetTest | undefined =
    targetPattern === undefined
      ? undefined
      : compileTargetPattern(targetPattern, ignoreCase, `${where}: the target pattern`);
  return {
    name: rule.name,
    place,
    source: rule,
    effect: rule.effect,
    decision: (rule.effect === "deny" ? denied : allowed)(
      `rule:${rule.name}`,
      ` by rule ${rule.name}`,
    ),
    obligations: rule.obligations,
    isBlanket: isTarget === undefined && anyTier,
    when: when === undefined ? undefined : compileExpression(when, `${where}: when`),
    coversKind: (kind) => anyAction || actionsOf[kind].includes(action),
    grantsKind: (kind) =>
      anyAction || (action !== "list_tools" && actionsOf[kind].includes(action)),
    coversTarget: (target, tier) =>
      (anyTier || (tier !== undefined && riskTiers.includes(tier))) &&
      (isTarget === undefined || isTarget(target)),
  };
}
