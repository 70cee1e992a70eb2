/**
 * Makes random policies, askers and questions from a seed, over a vocabulary so small that they often meet: three
 * tenants that look alike, roles of one name in several of them, and every condition and obligation there is.
 */
import {
  type Action,
  type Asker,
  type CallFacts,
  type PolicyInput,
  type Question,
  type Rule,
  riskTiers,
} from "../../src/policy/rule.ts";
import { atoms } from "./naive-conditions.ts";

export type Random = (below: number) => number;

/** A small, repeatable generator (xorshift32). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const servers = ["prod", "prod-db", "notes"];
const tools = ["read", "delete_row", "Delete", "a:delete_x"];
const uris = ["note://a/1", "note://b", "file:///x"];
const actions: readonly (Action | "*")[] = [
  "list_tools",
  "invoke_tool",
  "read_resource",
  "get_prompt",
  "*",
];
/** The first more often than the others, so that tenants meet what is theirs. */
const tenants = ["red", "red", "red:reader", "blue"];
const roles = ["reader", "admin", "ghost"];
const groups = ["/staff", "/ops"];
const workspaces = ["lab", "shop"];
const patterns = [".*delete.*", "read|Delete", "note:.*", "[a-r]+", "a:.*|.*row", ".*[_:].*"];
const argumentTexts = [
  undefined,
  "{}",
  '{"path":"/a","count":3,"tags":["x"]}',
  '{"path":"/a/b","count":5.0,"tags":["x","y"]}',
  '{"path":"/a/../b","count":"3","tags":["x",1]}',
  '{"path":["/a"],"count":99999999999999999999,"tags":{"x":"x"}}',
  '{"path":null,"count":7,"tags":[]}',
  '{"path":"/ab","count":null,"tags":"x"}',
  '{"path":"/b","tags":[1,null]}',
];

function pick<T>(random: Random, list: readonly T[]): T {
  const one = list[random(list.length)];
  if (one === undefined) throw new Error("nothing to pick from");
  return one;
}

function some<T>(random: Random, list: readonly T[]): T[] {
  return list.filter(() => random(3) === 0);
}

function maybe<T>(random: Random, make: () => T, outOf = 2): T | undefined {
  return random(outOf) === 0 ? make() : undefined;
}

const tenantOf = (random: Random) => maybe(random, () => pick(random, tenants), 3);

export function randomCondition(random: Random, depth = 0): string {
  const form = depth > 1 ? 9 : random(10);
  const inner = () => randomCondition(random, depth + 1);
  if (form === 0) return `!(${inner()})`;
  if (form < 3) return `(${inner()}) && (${inner()})`;
  if (form < 5) return `(${inner()}) || (${inner()})`;
  return pick(random, atoms);
}

function randomObligations(random: Random): NonNullable<Rule["obligations"]> {
  return {
    scopes: maybe(random, () => some(random, ["read", "write", "admin"])),
    stepUp: maybe(random, () => ({
      acrValues: some(random, ["gold", "silver"]),
      amrValues: some(random, ["otp", "hwk"]),
      maxAgeSeconds: maybe(random, () => 60 + random(3) * 60),
    })),
    approval: maybe(random, () => random(2) === 0, 4),
    redaction: maybe(random, () => pick(random, ["cards", "personal"]), 3),
    auditClass: maybe(random, () => pick(random, ["A+", "A", "B"] as const), 3),
    rateTier: maybe(random, () => pick(random, ["slow", "fast"]), 3),
    rateLimit: maybe(random, () => ({ requests: 1 + random(3), windowSeconds: 60 }), 3),
  };
}

export function randomRule(
  random: Random,
  name: string,
  effect: Rule["effect"] = pick(random, ["deny", "allow", "require"] as const),
): Rule {
  const wantsObligations = effect === "require" || (effect === "allow" && random(3) === 0);
  return {
    name,
    tenant: tenantOf(random),
    effect,
    priority: random(3),
    enabled: random(5) !== 0,
    condition: {
      server: maybe(random, () => pick(random, servers)),
      targetPattern: maybe(random, () => pick(random, patterns)),
      ignoreCase: random(2) === 0,
      principal: maybe(random, () => pick(random, ["client:ci", "ci", "ann", "bob"]), 4),
      action: maybe(random, () => pick(random, actions)),
      roles: maybe(random, () => some(random, roles), 4),
      groups: maybe(random, () => some(random, groups), 6),
      workspaces: maybe(random, () => some(random, workspaces), 6),
      riskTiers: maybe(random, () => some(random, riskTiers), 5),
      when: maybe(random, () => randomCondition(random)),
    },
    ...(wantsObligations && { obligations: randomObligations(random) }),
  };
}

export function randomPolicy(random: Random): PolicyInput {
  const listed = servers.flatMap((server) => [...tools, "*"].map((tool) => `${server}__${tool}`));
  const permissions = () =>
    some(random, [...servers, "*"]).map((server) => ({
      resource: `mcp:${server}:${pick(random, [...tools, ...uris, "*"])}`,
      actions: some(random, actions),
    }));
  const places = new Set([undefined, ...some(random, tenants)]);
  return {
    clients: ["ci", "web"].map((id) => ({
      id,
      tenant: tenantOf(random),
      enabled: random(4) !== 0,
      allowedTools: random(8) === 0 ? ["*"] : some(random, listed).slice(0, 3),
      allowedResources: some(random, ["note://*", "*://b", "file:///x", "*"]).slice(0, 2),
      allowedPrompts: some(random, listed).slice(0, 3),
    })),
    roles: [...places].flatMap((tenant) =>
      some(random, ["reader", "admin"]).map((name) => ({
        name,
        tenant,
        permissions: permissions(),
      })),
    ),
    bindings: ["one", "two"].map((name) => ({
      name,
      tenant: tenantOf(random),
      roles: some(random, roles),
      users: some(random, ["ann", "client:ci", "bob"]),
      groups: some(random, groups),
    })),
    rules: ["r1", "r2", "r3", "r4"].slice(random(5)).map((name) => randomRule(random, name)),
    servers: some(random, servers).map((name) => ({
      name,
      tenant: maybe(random, () => pick(random, tenants), 4),
      tools: some(random, tools).map((tool) => ({
        tool,
        riskTier: pick(random, riskTiers),
        requiredRoles: random(3) === 0 ? some(random, roles) : [],
      })),
    })),
  };
}

export function randomAsker(random: Random): Asker {
  const isUser = random(2) === 0;
  const subject = isUser ? pick(random, ["ann", "bob"]) : undefined;
  const clientId = isUser ? maybe(random, () => "web") : pick(random, ["ci", "web"]);
  return {
    id: isUser ? `user:https://idp#${subject}` : `client:${clientId}`,
    clientId,
    subject,
    tenant: maybe(random, () => pick(random, tenants)),
    workspace: maybe(random, () => pick(random, workspaces)),
    roles: some(random, roles),
    groups: some(random, groups),
    claims: maybe(random, () => ({ level: pick<unknown>(random, [3, 4, "3", 3.5]) })),
  };
}

export function randomQuestion(random: Random): Question {
  const kind = pick(random, ["tool", "tool", "resource", "prompt"] as const);
  const action = {
    tool: pick(random, ["list_tools", "invoke_tool"] as const),
    resource: "read_resource",
    prompt: "get_prompt",
  } as const;
  return {
    server: pick(random, servers),
    kind,
    target: pick(random, kind === "resource" ? uris : tools),
    action: random(20) === 0 ? "read_resource" : action[kind],
    ...(random(3) !== 0 && { call: randomCall(random) }),
  };
}

export function randomCall(random: Random): CallFacts {
  return {
    argumentsText: argumentTexts[random(argumentTexts.length)],
    peer: pick(random, ["10.1.2.3", "192.0.2.1", "::1"]),
    nowMs: Date.UTC(random(2) === 0 ? 2025 : 2027, 5, 1),
  };
}

export function shuffle<T>(random: Random, list: readonly T[]): T[] {
  const result = [...list];
  for (let at = result.length - 1; at > 0; at -= 1) {
    const other = random(at + 1);
    const [one, two] = [result[at], result[other]];
    if (one === undefined || two === undefined) continue;
    [result[at], result[other]] = [two, one];
  }
  return result;
}
