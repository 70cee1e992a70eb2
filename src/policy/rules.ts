/**
 * Compiles rules: patterns once, by a matcher whose time is linear in the text, and an order that says which of
 * several matching rules is named. Order never changes what is decided.
 */
import { RE2JS } from "re2js";
import { GatewayError } from "../errors/fault.ts";
import type { TargetKind } from "../protocol/methods.ts";
import type { Action, Asker, Rule } from "./rule.ts";

export interface CompiledRule {
  readonly name: string;
  readonly effect: Rule["effect"];
  readonly server: string | undefined;
  /** Whether it speaks about every target, or only about those its pattern matches. */
  readonly isBlanket: boolean;
  coversKind(kind: TargetKind): boolean;
  /** Whether an allow rule lets targets of this kind be used; one for `list_tools` alone does not. */
  grantsKind(kind: TargetKind): boolean;
  coversAsker(asker: Asker): boolean;
  coversTarget(target: string): boolean;
}

export interface RuleSet {
  readonly denies: readonly CompiledRule[];
  readonly allows: readonly CompiledRule[];
}

const patternBytesMax = 1024;

/** The actions that concern each kind of target. Listing a tool and calling it are one question (P23). */
export const actionsOf: Readonly<Record<TargetKind, readonly Action[]>> = {
  tool: ["list_tools", "invoke_tool"],
  resource: ["read_resource"],
  prompt: ["get_prompt"],
};

/** Enabled rules in naming order, looked up by server. Disabled ones are checked too, so enabling cannot fail. */
export function compileRules(rules: readonly Rule[]): (server: string) => RuleSet {
  const sorted = rules.toSorted((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1));
  const compiled = sorted.map((rule) => ({ rule, made: compileRule(rule) }));
  const enabled = compiled.filter(({ rule }) => rule.enabled).map(({ made }) => made);
  const anyServer = split(enabled.filter((rule) => rule.server === undefined));
  const byServer = new Map<string, RuleSet>();
  for (const { server } of enabled) {
    if (server === undefined || byServer.has(server)) continue;
    const about = enabled.filter((rule) => rule.server === undefined || rule.server === server);
    byServer.set(server, split(about));
  }
  return (server) => byServer.get(server) ?? anyServer;
}

/** Whether a rule or binding that says this name means this asker: its principal id, or its JWT subject. */
export function isNamed(asker: Asker, name: string): boolean {
  return name === asker.id || isBare(name, asker.subject);
}

/** A subject or client id chosen elsewhere must not pass for a principal id by being spelled like one. */
function isBare(name: string, value: string | undefined): boolean {
  return name === value && !/^(?:client:|user:|anonymous$)/.test(name);
}

function split(rules: readonly CompiledRule[]): RuleSet {
  return {
    denies: rules.filter((rule) => rule.effect === "deny"),
    allows: rules.filter((rule) => rule.effect === "allow"),
  };
}

/** A condition that is not understood must not turn its rule into one that matches everything. */
function refuseUnknown({ name, effect, tenant, condition, obligations }: Rule): void {
  const { roles, groups, workspaces, riskTiers, when } = condition;
  const unknown = [tenant, roles, groups, workspaces, riskTiers, when, obligations];
  if (effect !== "require" && unknown.every((one) => one === undefined)) return;
  throw new GatewayError("invalid-params", `rule "${name}": not supported yet`);
}

function compileRule(rule: Rule): CompiledRule {
  refuseUnknown(rule);
  const { server, targetPattern, principal, action } = rule.condition;
  const pattern = targetPattern === undefined ? undefined : compilePattern(rule, targetPattern);
  const anyAction = action === undefined || action === "*";
  return {
    name: rule.name,
    effect: rule.effect,
    server,
    isBlanket: pattern === undefined,
    coversKind: (kind) => anyAction || actionsOf[kind].includes(action),
    grantsKind: (kind) =>
      anyAction || (action !== "list_tools" && actionsOf[kind].includes(action)),
    coversAsker: (asker) =>
      principal === undefined || isNamed(asker, principal) || isBare(principal, asker.clientId),
    coversTarget: (target) => pattern === undefined || pattern.testExact(target),
  };
}

function compilePattern(rule: Rule, pattern: string): RE2JS {
  const where = `rule "${rule.name}": the target pattern`;
  if (pattern === "") {
    throw new GatewayError("invalid-params", `${where} is empty; leave it out to match any target`);
  }
  if (Buffer.byteLength(pattern) > patternBytesMax) {
    throw new GatewayError("invalid-params", `${where} is longer than ${patternBytesMax} bytes`);
  }
  const flags = RE2JS.DOTALL | (rule.condition.ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
  try {
    return RE2JS.compile(pattern, flags);
  } catch (cause) {
    throw new GatewayError("invalid-params", `${where} is not a valid RE2 expression`, { cause });
  }
}
