/**
 * What a policy of 100 roles and 1,000 rules costs, conditions in CEL on a tenth of them, for principals already
 * authenticated: milliseconds to load it, microseconds to decide a call. Every server has two rules whose conditions
 * read the call, so no decision is remembered whole: arguments are parsed and expressions evaluated each time.
 *
 * Three kinds, timed apart: `first` is a principal's first call on a server, `fresh` that of a target it has not called
 * before, `again` any other. The figure is the median of a mix: each principal calls eight targets on each of ten
 * servers, five times, so 80% are `again`, 17.5% `fresh` and 2.5% `first`.
 */
import { type CompiledPolicy, compilePolicy } from "../../src/policy/compile.ts";
import type { Asker, PolicyInput, Question, Rule } from "../../src/policy/rule.ts";

export interface PolicyCost {
  readonly loadMs: number;
  readonly decideUs: number;
  readonly firstUs: number;
  readonly freshUs: number;
  readonly againUs: number;
}

const counts = { servers: 50, roles: 100, rules: 1000, principals: 200 } as const;
const called = { servers: 10, targets: 8, times: 5 } as const;
const rounds = 5;
/** Decisions timed together: one alone is shorter than the clock's tick. */
const batch = 20;

export function measurePolicyCost(): PolicyCost {
  const input = largePolicy();
  const loads: number[] = [];
  const costs = { first: [] as number[], fresh: [] as number[], again: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    const startMs = performance.now();
    const policy = compilePolicy(input);
    loads.push(performance.now() - startMs);
    const askers = list(counts.principals, principal);
    for (let time = 0; time < called.times; time += 1) {
      for (let target = 0; target < called.targets; target += 1) {
        const kind = time > 0 ? "again" : target > 0 ? "fresh" : "first";
        for (let server = 0; server < called.servers; server += 1) {
          const asked = list(askers.length, (n) => question(server, target, n));
          costs[kind].push(...timeDecisions(policy, askers, asked));
        }
      }
    }
  }
  return {
    loadMs: median(loads),
    decideUs: median([...costs.first, ...costs.fresh, ...costs.again]),
    firstUs: median(costs.first),
    freshUs: median(costs.fresh),
    againUs: median(costs.again),
  };
}

/** Microseconds of one decision, by batch. */
function timeDecisions(
  policy: CompiledPolicy,
  askers: readonly Asker[],
  asked: readonly Question[],
): readonly number[] {
  const costs: number[] = [];
  for (let start = 0; start < asked.length; start += batch) {
    const startMs = performance.now();
    for (let n = start; n < start + batch; n += 1) {
      const asker = askers[n];
      const about = asked[n];
      if (asker !== undefined && about !== undefined) policy.decide(asker, about);
    }
    costs.push(((performance.now() - startMs) * 1000) / batch);
  }
  return costs;
}

function largePolicy(): PolicyInput {
  return {
    clients: list(counts.principals, (n) => ({
      id: `client-${n}`,
      enabled: true,
      allowedTools: [`server-${n % counts.servers}__*`],
      allowedResources: [],
      allowedPrompts: [],
    })),
    roles: list(counts.roles, (n) => ({
      name: `role-${n}`,
      permissions: list(10, (more) => ({
        resource: `mcp:server-${(n + more) % counts.servers}:*`,
        actions: ["invoke_tool"] as const,
      })),
    })),
    bindings: list(100, (n) => ({
      name: `binding-${n}`,
      roles: [`role-${n}`],
      users: [`client:client-${n}`],
      groups: [`/group-${n}`],
    })),
    rules: list(counts.rules, rule),
    servers: list(counts.servers, (n) => ({
      name: `server-${n}`,
      tools: list(20, (tool) => ({
        tool: `lookup_${tool}`,
        riskTier: tool % 5 === 0 ? ("high" as const) : ("low" as const),
        requiredRoles: [],
      })),
    })),
  };
}

/** Ten kinds in turn on each server, one of them with a condition on the call. */
function rule(n: number): Rule {
  const any: Rule["condition"] = {
    server: `server-${Math.floor(n / 10) % counts.servers}`,
    targetPattern: undefined,
    ignoreCase: false,
    principal: undefined,
    action: undefined,
  };
  const conditions: readonly Partial<Rule["condition"]>[] = [
    { targetPattern: `(?:delete|drop)_[a-f]*${n}.*` },
    { principal: `client-${n % counts.principals}`, targetPattern: `.*_${n}` },
    { roles: [`role-${n % counts.roles}`], targetPattern: `export_${n}.*` },
    { groups: [`/group-${n % 100}`], targetPattern: `admin_${n}` },
    { targetPattern: `.*delete_${n}.*`, ignoreCase: true },
    {
      when: `arguments.path.isUnder("/secret/${n}") || (principal.id == "client:x" && arguments.count > ${n})`,
    },
    { riskTiers: ["critical"] },
    { action: "get_prompt" },
    n % 100 === 8
      ? { server: undefined, targetPattern: `.*(drop|truncate)_${n}` }
      : { workspaces: ["w"] },
    { principal: `client-${n % counts.principals}`, roles: ["nobody"] },
  ];
  return {
    name: `rule-${n}`,
    effect: n % 3 === 0 ? "allow" : "deny",
    priority: n % 7,
    enabled: true,
    condition: { ...any, ...conditions[n % conditions.length] },
  };
}

function principal(n: number): Asker {
  return {
    id: `client:client-${n}`,
    clientId: `client-${n}`,
    subject: undefined,
    roles: [`role-${n % counts.roles}`, `role-${(n * 7) % counts.roles}`],
    groups: [`/group-${n % 100}`],
  };
}

function question(server: number, target: number, n: number): Question {
  return {
    server: `server-${server}`,
    kind: "tool",
    target: `lookup_${target}`,
    action: "invoke_tool",
    call: {
      argumentsText: `{"path":"/data/${n}","count":${n},"text":"${"x".repeat(200)}"}`,
      peer: "192.0.2.7",
      nowMs: 1_760_000_000_000,
    },
  };
}

function list<T>(length: number, make: (n: number) => T): readonly T[] {
  return Array.from({ length }, (_, n) => make(n));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
