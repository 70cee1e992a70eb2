/**
 * Rules may name things of the configuration: redaction profiles and tiers of limits; clients may name a tier. A name
 * that is not there would be an obligation that nobody fulfils, so it is refused where policy is compiled: when the
 * rule or the client is written, and at start.
 */
import type { PolicyInput } from "../policy/rule.ts";
import { refuseField } from "./body-shape.ts";
import type { CompilePolicy } from "./build.ts";

/** What the configuration offers to be named. */
export interface ConfiguredNames {
  readonly redactionProfiles: readonly string[];
  readonly rateTiers: readonly string[];
}

/** `compile`, after the names that rules and clients give were looked up. Throws GatewayError invalid-params. */
export function compileWithNames(compile: CompilePolicy, known: ConfiguredNames): CompilePolicy {
  return (input) => {
    refuseUnknownNames(input, known);
    return compile(input);
  };
}

/** Disabled rules are looked at too, so that enabling one cannot fail. */
function refuseUnknownNames({ rules, clients }: PolicyInput, known: ConfiguredNames): void {
  for (const { id, limits } of clients) {
    needKnown(`client "${id}": limits.tier`, limits?.tier, known.rateTiers, "tier");
  }
  for (const { name, obligations } of rules) {
    const path = `rule "${name}": obligations`;
    needKnown(`${path}.redaction`, obligations?.redaction, known.redactionProfiles, "profile");
    needKnown(`${path}.rateTier`, obligations?.rateTier, known.rateTiers, "tier");
  }
}

function needKnown(
  path: string,
  name: string | undefined,
  known: readonly string[],
  noun: string,
): void {
  if (name === undefined || known.includes(name)) return;
  const allowed = known.length === 0 ? "it has none" : `it has ${known.join(", ")}`;
  refuseField(path, `the configuration has no ${noun} "${name}"; ${allowed}`);
}
