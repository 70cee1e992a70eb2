/**
 * A second reading of the policy rules, written to be obvious and slow: the compiled policy must agree with it.
 * Patterns are limited to what a JavaScript expression matches the same way.
 */
import type { Asker, PolicyInput, Question } from "../../../src/policy/rule.ts";

const family = {
  tool: ["list_tools", "invoke_tool"],
  resource: ["read_resource"],
  prompt: ["get_prompt"],
} as const;

export function decideNaively(input: PolicyInput, asker: Asker, question: Question): boolean {
  const { kind, server, target } = question;
  const actions: readonly string[] = family[kind];
  if (!actions.includes(question.action)) return false;

  const matching = input.rules.filter(({ enabled, condition }) => {
    if (!enabled) return false;
    if (condition.server !== undefined && condition.server !== server) return false;
    const who = [asker.id, asker.clientId, asker.subject];
    if (condition.principal !== undefined && !who.includes(condition.principal)) return false;
    if (condition.targetPattern === undefined) return true;
    const flags = condition.ignoreCase ? "is" : "s";
    return new RegExp(`^(?:${condition.targetPattern})$`, flags).test(target);
  });
  const speaksOf = (action: string | undefined) =>
    action === undefined || action === "*" || actions.includes(action);
  const grantsUse = (action: string | undefined) => speaksOf(action) && action !== "list_tools";
  if (matching.some((rule) => rule.effect === "deny" && speaksOf(rule.condition.action)))
    return false;
  if (matching.some((rule) => rule.effect === "allow" && grantsUse(rule.condition.action)))
    return true;

  const client = input.clients.find((one) => one.id === asker.clientId && one.enabled);
  if (client !== undefined) {
    if (kind === "resource") {
      const escaped = (text: string) =>
        text.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*");
      if (
        client.allowedResources.some((one) => new RegExp(`^${escaped(one)}$`, "s").test(target))
      ) {
        return true;
      }
    } else {
      const list = kind === "tool" ? client.allowedTools : client.allowedPrompts;
      for (const entry of ["*", `${server}__*`, `${server}__${target}`]) {
        if (list.includes(entry)) return true;
      }
    }
  }

  const names = new Set(asker.roles);
  for (const binding of input.bindings) {
    const users = binding.users.some((user) => user === asker.id || user === asker.subject);
    const groups = binding.groups.some((group) => asker.groups.includes(group));
    if (users || groups) for (const role of binding.roles) names.add(role);
  }
  return input.roles
    .filter((role) => names.has(role.name))
    .flatMap((role) => role.permissions)
    .some(({ resource, actions: granted }) => {
      const isGranted = granted.some((action) => action !== "list_tools" && speaksOf(action));
      const spellings = [
        `mcp:${server}:${target}`,
        `mcp:${server}:*`,
        `mcp:*:${target}`,
        "mcp:*:*",
      ];
      return isGranted && spellings.includes(resource);
    });
}
