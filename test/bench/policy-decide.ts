/**
 * What one policy decision costs, in microseconds, with 200 clients, 50 roles and 100 deny rules: first asked, and asked
 * again. A fresh question each time keeps the first kind honest.
 */
import { compilePolicy } from "../../src/policy/compile.ts";

const count = { clients: 200, roles: 50, rules: 100 } as const;
const questions = 5_000;

/** `first` is the cost of working a decision out, `again` that of remembering it. */
export function measurePolicyDecision(): { readonly firstUs: number; readonly againUs: number } {
  const policy = compilePolicy({
    clients: list(count.clients, (n) => ({
      id: `client-${n}`,
      enabled: true,
      allowedTools: [`server-${n % 20}__*`],
      allowedResources: [],
      allowedPrompts: [],
    })),
    roles: list(count.roles, (n) => ({
      name: `role-${n}`,
      permissions: [{ resource: `mcp:server-${n % 20}:*`, actions: ["*"] as const }],
    })),
    bindings: [],
    rules: list(count.rules, (n) => ({
      name: `rule-${n}`,
      effect: "deny" as const,
      priority: n,
      condition: {
        server: undefined,
        targetPattern: `(delete|drop|remove)_${n}.*`,
        ignoreCase: true,
        principal: undefined,
        action: undefined,
      },
      enabled: true,
    })),
  });
  const askers = list(count.clients, (n) => ({
    id: `client:client-${n}`,
    clientId: `client-${n}`,
    subject: undefined,
    roles: [`role-${n % count.roles}`],
    groups: [],
  }));
  const asked = list(questions, (n) => ({
    server: `server-${n % 20}`,
    kind: "tool" as const,
    target: `lookup_${n}`,
    action: "invoke_tool" as const,
  }));
  const round = () => {
    const startMs = performance.now();
    asked.forEach((question, n) => {
      const asker = askers[n % askers.length];
      if (asker !== undefined) policy.decide(asker, question);
    });
    return ((performance.now() - startMs) * 1000) / asked.length;
  };
  return { firstUs: round(), againUs: round() };
}

function list<T>(length: number, make: (n: number) => T): readonly T[] {
  return Array.from({ length }, (_, n) => make(n));
}
