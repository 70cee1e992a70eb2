/**
 * An admin plane over a real database, with the operators of the two-person rule: ann and bob may do everything, and
 * ann has a second credential. Asserts nothing.
 */
import { createHash } from "node:crypto";
import type { Store } from "../../src/storage/store.ts";
import { type AdminClient, type AdminPlane, startAdminPlane } from "./admin-plane.ts";

export interface TwoOperators extends AsyncDisposable {
  readonly plane: AdminPlane;
  readonly ann: AdminClient;
  /** Ann's other credential; her name is written in another way. */
  readonly annAgain: AdminClient;
  readonly bob: AdminClient;
}

const tokenOf = (who: string) => `a-token-of-${who}-that-is-long-enough-for-anybody`;

export async function startTwoOperators(
  store: Store,
  options: { readonly twoPerson: boolean; readonly revisionsMax?: number },
): Promise<TwoOperators> {
  const named = { ann: "ann", "ann-again": "Ann ", bob: "bob" };
  const plane = await startAdminPlane({
    ...options,
    store,
    operators: Object.entries(named).map(([who, name]) => ({
      name,
      roles: ["admin", "auditor"] as const,
      tokenSha256: createHash("sha256").update(tokenOf(who)).digest("hex"),
    })),
  });
  return {
    plane,
    ann: plane.client(tokenOf("ann")),
    annAgain: plane.client(tokenOf("ann-again")),
    bob: plane.client(tokenOf("bob")),
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
  };
}

/** A draft's change that puts a rule which denies every tool of this name. */
export function denying(name: string, tool: string) {
  const condition = { target_pattern: tool };
  return { put: { rule: { name, effect: "RULE_EFFECT_DENY", condition } } } as const;
}

/** A draft's change that puts a role which may call these tools of `calc`. */
export function granting(name: string, tools: readonly string[]) {
  const permissions = tools.map((tool) => ({
    resource: `mcp:calc:${tool}`,
    actions: ["POLICY_ACTION_INVOKE_TOOL" as const],
  }));
  return { put: { role: { name, permissions } } } as const;
}
