/**
 * A second reading of the whole policy, written to be obvious and slow, sharing no code with `src/policy`: the compiled
 * policy must agree with it. Patterns are limited to what a JavaScript expression matches the same way, expressions to
 * the vocabulary of `naive-conditions.ts`.
 */
import type { Asker, Obligations, PolicyInput, Question, Rule } from "../../src/policy/rule.ts";
import { meaningOf } from "./naive-conditions.ts";

export interface NaiveDecision {
  readonly allowed: boolean;
  readonly ruleId: string;
  /** As JSON, with what has no order sorted; undefined where nothing is owed. */
  readonly owes: string | undefined;
}

const family = {
  tool: ["list_tools", "invoke_tool"],
  resource: ["read_resource"],
  prompt: ["get_prompt"],
} as const;

export function decideNaively(input: PolicyInput, asker: Asker, question: Question): NaiveDecision {
  const { kind, server, target } = question;
  const no = (ruleId: string): NaiveDecision => ({ allowed: false, ruleId, owes: undefined });
  const actions: readonly string[] = family[kind];
  if (!actions.includes(question.action)) return no("default");

  const registered = input.servers?.find((one) => one.name === server);
  if (registered?.tenant !== undefined && registered.tenant !== asker.tenant) return no("default");
  const tool = kind === "tool" ? registered?.tools.find((one) => one.tool === target) : undefined;
  const tier = kind === "tool" ? (tool?.riskTier ?? "low") : undefined;

  const held = rolesOf(input, asker);
  // Another tenant's admin may be called `admin` too: what the common policy calls so is the common role.
  const isHidden = (name: string) =>
    input.roles.some(
      (role) => role.tenant !== undefined && role.tenant === asker.tenant && role.name === name,
    );
  const common = held.filter((name) => !isHidden(name));

  const matching = input.rules
    .filter((rule) => rule.enabled && (rule.tenant === undefined || rule.tenant === asker.tenant))
    .filter((rule) => matches(rule, asker, question, tier, meant(rule)))
    .sort(
      (a, b) =>
        b.priority - a.priority ||
        compare(a.name, b.name) ||
        compare(a.tenant ?? "", b.tenant ?? ""),
    );
  function meant(rule: Rule) {
    return rule.effect === "allow" && rule.tenant === undefined ? common : held;
  }
  const outcomes = (rule: Rule) =>
    rule.condition.when === undefined
      ? "T"
      : meaningOf(rule.condition.when, { asker, roles: meant(rule), question, tier });

  const deny = matching.find((rule) => rule.effect === "deny" && !outcomes(rule).includes("F"));
  if (deny !== undefined) return no(`rule:${deny.name}`);
  const needed = tool?.requiredRoles ?? [];
  const holders = registered?.tenant === undefined ? common : held;
  if (needed.length > 0 && !needed.some((role) => holders.includes(role))) {
    return no(`tool:${server}__${target}`);
  }

  const allows = matching.filter(
    (rule) =>
      rule.effect === "allow" &&
      rule.condition.action !== "list_tools" &&
      outcomes(rule).includes("T"),
  );
  const ruleId = [
    ...allows.map((rule) => `rule:${rule.name}`),
    ...(isListed(input, asker, question) ? [`client:${asker.clientId}`] : []),
    ...held
      .filter((name) => isPermitted(input, asker, name, question))
      .map((name) => `role:${name}`),
  ][0];
  if (ruleId === undefined) return no("default");
  const requires = matching.filter((rule) => rule.effect === "require" && outcomes(rule) !== "F");
  const owing = matching.filter((rule) => allows.includes(rule) || requires.includes(rule));
  return { allowed: true, ruleId, owes: joined(owing) };
}

function rolesOf(input: PolicyInput, asker: Asker): string[] {
  const names = new Set(asker.roles);
  for (const { tenant, users, groups, roles } of input.bindings) {
    if (tenant !== undefined && tenant !== asker.tenant) continue;
    const isMeant = users.some((user) => user === asker.id || user === asker.subject);
    if (isMeant || groups.some((group) => asker.groups.includes(group))) {
      for (const role of roles) names.add(role);
    }
  }
  return [...names].sort();
}

function matches(
  { condition }: Rule,
  asker: Asker,
  { kind, server, target }: Question,
  tier: string | undefined,
  held: readonly string[],
): boolean {
  const { action, principal, targetPattern, riskTiers, roles, groups, workspaces } = condition;
  if (condition.server !== undefined && condition.server !== server) return false;
  const actions: readonly string[] = family[kind];
  if (action !== undefined && action !== "*" && !actions.includes(action)) return false;
  const who = [asker.id, asker.clientId, asker.subject];
  if (principal !== undefined && !who.includes(principal)) return false;
  if (roles?.length && !roles.some((role) => held.includes(role))) return false;
  if (groups?.length && !groups.some((group) => asker.groups.includes(group))) return false;
  if (workspaces?.length && !workspaces.some((one) => one === asker.workspace)) return false;
  if (riskTiers?.length && !riskTiers.some((one) => one === tier)) return false;
  if (targetPattern === undefined) return true;
  return new RegExp(`^(?:${targetPattern})$`, condition.ignoreCase ? "is" : "s").test(target);
}

function isListed(input: PolicyInput, asker: Asker, { kind, server, target }: Question): boolean {
  const client = input.clients.find(
    (one) => one.id === asker.clientId && one.tenant === asker.tenant,
  );
  if (!client?.enabled) return false;
  if (kind !== "resource") {
    const list = kind === "tool" ? client.allowedTools : client.allowedPrompts;
    return ["*", `${server}__*`, `${server}__${target}`].some((entry) => list.includes(entry));
  }
  const escaped = (text: string) =>
    text.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*");
  return client.allowedResources.some((one) => new RegExp(`^${escaped(one)}$`, "s").test(target));
}

function isPermitted(
  { roles }: PolicyInput,
  asker: Asker,
  name: string,
  { kind, server, target }: Question,
): boolean {
  const named = roles.filter((role) => role.name === name);
  const own = named.find((role) => role.tenant !== undefined && role.tenant === asker.tenant);
  const role = own ?? named.find((one) => one.tenant === undefined);
  const spellings = [`mcp:${server}:${target}`, `mcp:${server}:*`, `mcp:*:${target}`, "mcp:*:*"];
  const uses: readonly string[] = family[kind].filter((action) => action !== "list_tools");
  return (role?.permissions ?? []).some(
    ({ resource, actions }) =>
      spellings.includes(resource) && actions.some((one) => one === "*" || uses.includes(one)),
  );
}

function joined(rules: readonly Rule[]): string | undefined {
  const owed = rules.flatMap(({ name, obligations }) =>
    obligations ? [{ name, ...obligations }] : [],
  );
  const names = (list: readonly string[]) => [...new Set(list)].sort();
  const ages = owed.flatMap((one) => one.stepUp?.maxAgeSeconds ?? []);
  const maxAgeSeconds = ages.length === 0 ? undefined : Math.min(...ages);
  const ways = owed.flatMap(({ stepUp }) =>
    stepUp && stepUp.acrValues.length + stepUp.amrValues.length > 0
      ? [JSON.stringify([names(stepUp.acrValues), names(stepUp.amrValues), maxAgeSeconds])]
      : [],
  );
  const anyWay = maxAgeSeconds === undefined ? [] : [JSON.stringify([[], [], maxAgeSeconds])];
  const classes = owed.map((one) => one.auditClass);
  const all = {
    scopes: names(owed.flatMap((one) => one.scopes ?? [])),
    ways: ways.length > 0 ? names(ways) : anyWay,
    approval: owed.some((one) => one.approval),
    redaction: names(owed.flatMap((one) => one.redaction ?? [])),
    auditClass: ["A+", "A", "B"].find((one) => classes.some((asked) => asked === one)) ?? "",
    rateTier: owed.flatMap((one) => one.rateTier ?? [])[0] ?? "",
    limits: owed.flatMap((one) => (one.rateLimit ? [{ rule: one.name, ...one.rateLimit }] : [])),
  };
  const text = JSON.stringify(all);
  return Object.values(all).every((one) => (Array.isArray(one) ? one.length === 0 : !one))
    ? undefined
    : text;
}

/** The compiled policy's obligations in the same words. */
export function spellObligations(obligations: Obligations | undefined): string | undefined {
  if (obligations === undefined) return undefined;
  const { scopes, stepUp, approval, redaction, auditClass, rateTier, rateLimits } = obligations;
  return JSON.stringify({
    scopes,
    ways: stepUp
      .map((one) => JSON.stringify([one.acrValues, one.amrValues, one.maxAgeSeconds]))
      .sort(),
    approval,
    redaction: redaction?.split("+") ?? [],
    auditClass: auditClass ?? "",
    rateTier: rateTier ?? "",
    limits: rateLimits,
  });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
