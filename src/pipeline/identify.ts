/**
 * From a credential to a principal, and whether this caller may use it: the one sequence that messages, admissions
 * and whatever is open already go through. Called by the authenticate stage, by dispatch and by listens.
 */
import type { Fault } from "../errors/fault.ts";
import type { Authenticator } from "../identity/authenticator.ts";
import type { Principal } from "../identity/principal.ts";
import type { CallerCheck } from "../identity/proof/caller-check.ts";
import type { Snapshot } from "../state/snapshot.ts";
import type { From } from "./incoming.ts";

export interface IdentifyDeps {
  readonly authenticator: Authenticator;
  readonly callerCheck: CallerCheck;
}

/** Who the credential names, and whether this caller may use it from here and proves that it is its own. */
export function identify(
  deps: IdentifyDeps,
  from: From,
  snapshot: Snapshot,
): Principal | Fault | Promise<Principal | Fault> {
  const { credential } = from;
  const found =
    credential.kind === "certificate"
      ? deps.callerCheck.byCertificate(credential.certificate, snapshot)
      : deps.authenticator.authenticate(credential, snapshot, from);
  const check = (one: Principal | Fault) => {
    if (isFault(one)) return one;
    const refusal = deps.callerCheck.check(one, from, snapshot);
    if (refusal instanceof Promise) return refusal.then((fault) => fault ?? one);
    return refusal ?? one;
  };
  return found instanceof Promise ? found.then(check) : check(found);
}

/** Whether a principal identified earlier would still be; with `from`, also there and by what was proven there. */
export function isStillValid(
  { authenticator, callerCheck }: IdentifyDeps,
  principal: Principal,
  from: From | undefined,
  snapshot: Snapshot,
): boolean {
  const isCertified = callerCheck.isCertified(principal, snapshot);
  if (!(isCertified ?? authenticator.stillValid(principal, snapshot))) return false;
  return from === undefined || callerCheck.holds(principal, from, snapshot);
}

/** Tells a refusal from a principal. */
export function isFault(found: Principal | Fault): found is Fault {
  return "name" in found;
}
