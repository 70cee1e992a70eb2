/**
 * The OAuth scopes an endpoint asks for: whether a principal's token has them, and what a caller is told that lacks them
 * (RFC 6750 3.1). A challenge names everything the endpoint needs, so one new token is enough. Pure.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { Principal } from "./principal.ts";

export interface RequiredScopes {
  /** A scope of the path, or `*` for each. */
  readonly scope: string;
  readonly oauthScopes: readonly string[];
}

export interface ScopeCheck {
  /** What an endpoint under this scope of the path asks for, sorted. */
  needs(scope: string): readonly string[];
  /** The refusal of a principal whose token lacks something, or undefined. */
  check(principal: Principal, scope: string): Fault | undefined;
  /** A 401 that also says which scopes to ask for. */
  challenged(fault: Fault, scope: string): Fault;
}

export function createScopeCheck(required: readonly RequiredScopes[]): ScopeCheck {
  const everywhere = namesFor(required, "*");
  const own = new Map(
    required.map(({ scope }) => [
      scope,
      [...new Set([...everywhere, ...namesFor(required, scope)])].sort(),
    ]),
  );
  const needs = (scope: string) => own.get(scope) ?? own.get("*") ?? everywhere;

  function challenged(fault: Fault, scope: string): Fault {
    const needed = needs(scope);
    if (needed.length === 0 || fault.name !== "unauthenticated") return fault;
    const asked = `scope="${needed.join(" ")}"`;
    return { ...fault, challenge: fault.challenge ? `${fault.challenge}, ${asked}` : asked };
  }

  return {
    needs,
    challenged,
    check(principal, scope) {
      const needed = needs(scope);
      if (needed.length === 0) return undefined;
      // Whoever presents nothing has no scope either, and is told how to get one.
      if (principal.kind === "anonymous") {
        return challenged(createFault("unauthenticated", "Authentication required"), scope);
      }
      const { scopes } = principal;
      if (scopes === undefined || needed.every((one) => scopes.includes(one))) return undefined;
      return createFault("insufficient-scope", "Insufficient scope", {
        challenge: `error="insufficient_scope", scope="${needed.join(" ")}"`,
        data: { requiredScopes: needed },
        reason: "scope-missing",
      });
    },
  };
}

function namesFor(required: readonly RequiredScopes[], wanted: string): readonly string[] {
  return required.flatMap(({ scope, oauthScopes }) => (scope === wanted ? oauthScopes : []));
}
