/**
 * Refuses state that names a tier of limits the configuration does not have. Compose puts it before the policy is
 * compiled: at the start, before an operator's write is stored, and when another node wrote.
 */
import { GatewayError } from "../errors/fault.ts";
import type { PolicyInput } from "../policy/rule.ts";

export function needKnownTiers(input: PolicyInput, tiers: readonly string[]): void {
  for (const { id, limits } of input.clients) {
    need(`client "${id}": limits.tier`, limits?.tier, tiers);
  }
  for (const { name, obligations } of input.rules) {
    need(`rule "${name}": obligations.rateTier`, obligations?.rateTier, tiers);
  }
}

function need(path: string, tier: string | undefined, tiers: readonly string[]): void {
  if (tier === undefined || tiers.includes(tier)) return;
  const known = tiers.length === 0 ? "it has none" : `it has ${tiers.join(", ")}`;
  const message = `${path}: limits.tiers of the configuration has no "${tier}"; ${known}`;
  throw new GatewayError("invalid-params", message);
}
