/**
 * Makes random policies and questions from a seed, over a vocabulary so small that they often meet.
 */
import type { Action, Asker, PolicyInput, Question, Rule } from "../../../src/policy/rule.ts";

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
const roles = ["reader", "admin", "ghost"];
const patterns = [".*delete.*", "read|Delete", "note:.*", "[a-r]+"];

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random(list.length)]!;
}

function some<T>(random: Random, list: readonly T[]): T[] {
  return list.filter(() => random(3) === 0);
}

function maybe<T>(random: Random, make: () => T): T | undefined {
  return random(2) === 0 ? make() : undefined;
}

export function randomRule(
  random: Random,
  name: string,
  effect = pick(random, ["deny", "allow"] as const),
): Rule {
  return {
    name,
    effect,
    priority: random(3),
    enabled: random(5) !== 0,
    condition: {
      server: maybe(random, () => pick(random, servers)),
      targetPattern: maybe(random, () => pick(random, patterns)),
      ignoreCase: random(2) === 0,
      principal: maybe(random, () => pick(random, ["client:ci", "ci", "ann", "bob"])),
      action: maybe(random, () => pick(random, actions)),
    },
  };
}

export function randomPolicy(random: Random): PolicyInput {
  const listed = servers.flatMap((server) => [...tools, "*"].map((tool) => `${server}__${tool}`));
  const permissions = () =>
    some(random, [...servers, "*"]).map((server) => ({
      resource: `mcp:${server}:${pick(random, [...tools, ...uris, "*"])}`,
      actions: some(random, actions),
    }));
  return {
    clients: ["ci", "web"].map((id) => ({
      id,
      enabled: random(4) !== 0,
      allowedTools: random(8) === 0 ? ["*"] : some(random, listed).slice(0, 3),
      allowedResources: some(random, ["note://*", "*://b", "file:///x", "note://a/*", "*"]).slice(
        0,
        2,
      ),
      allowedPrompts: some(random, listed).slice(0, 3),
    })),
    roles: ["reader", "admin"].map((name) => ({ name, permissions: permissions() })),
    bindings: ["one", "two"].map((name) => ({
      name,
      roles: some(random, roles),
      users: some(random, ["ann", "client:ci", "bob"]),
      groups: some(random, ["/staff", "/ops"]),
    })),
    rules: ["r1", "r2", "r3"].slice(random(4)).map((name) => randomRule(random, name)),
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
    roles: some(random, roles),
    groups: some(random, ["/staff", "/ops"]),
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
  };
}

export function shuffle<T>(random: Random, list: readonly T[]): T[] {
  const result = [...list];
  for (let at = result.length - 1; at > 0; at -= 1) {
    const other = random(at + 1);
    [result[at], result[other]] = [result[other]!, result[at]!];
  }
  return result;
}
