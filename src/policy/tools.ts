/**
 * What operators say of servers and single tools: whose a server is, a tool's risk tier, and the roles it needs whatever
 * else grants it (P08, P09).
 */
import { GatewayError } from "../errors/fault.ts";
import type { TargetKind } from "../protocol/methods.ts";
import type { Holder } from "./holder.ts";
import type { PolicyServer, RiskTier } from "./rule.ts";

export interface Tools {
  /** A server of another tenant does not exist for the holder. */
  isVisible(server: string, holder: Holder): boolean;
  tierOf(server: string, kind: TargetKind, target: string): RiskTier | undefined;
  /** Whether the tool needs a role that the holder lacks. */
  lacksRole(server: string, kind: TargetKind, target: string, holder: Holder): boolean;
}

export function compileTools(servers: readonly PolicyServer[]): Tools {
  const known = new Map<string, { tenant: string | undefined; tools: ReadonlyMap<string, Tool> }>();
  for (const { name, tenant, tools } of servers) {
    if (known.has(name)) throw new GatewayError("invalid-params", `server "${name}" exists twice`);
    known.set(name, { tenant, tools: indexTools(name, tools) });
  }
  return {
    isVisible(server, { asker }) {
      const tenant = known.get(server)?.tenant;
      return tenant === undefined || tenant === asker.tenant;
    },
    tierOf(server, kind, target) {
      if (kind !== "tool") return undefined;
      return known.get(server)?.tools.get(target)?.riskTier ?? "low";
    },
    lacksRole(server, kind, target, holder) {
      const found = kind === "tool" ? known.get(server) : undefined;
      const needed = found?.tools.get(target)?.requiredRoles ?? [];
      // On a common server these are common roles: a tenant's own role of that name opens nothing.
      const held = found?.tenant === undefined ? holder.commonRoles : holder.roles;
      return needed.length > 0 && !needed.some((role) => held.has(role));
    },
  };
}

type Tool = PolicyServer["tools"][number];

function indexTools(server: string, tools: readonly Tool[]): ReadonlyMap<string, Tool> {
  const index = new Map<string, Tool>();
  for (const one of tools) {
    if (index.has(one.tool)) {
      throw new GatewayError(
        "invalid-params",
        `server "${server}": tool "${one.tool}" exists twice`,
      );
    }
    index.set(one.tool, one);
  }
  return index;
}
