/**
 * Who is calling. Turns the credential into a principal or refuses with 401; every failure, bugs included, is a
 * refusal (AN-01). Nothing after this stage ever sees the credential. Also holds a client to the origins it was
 * registered with.
 */
import { createFault, type Fault } from "../../errors/fault.ts";
import type { Authenticator } from "../../identity/authenticator.ts";
import type { Principal } from "../../identity/principal.ts";
import type { CallerCheck } from "../../identity/proof/caller-check.ts";
import type { SourceLimit } from "../../limits/source-limit.ts";
import type { Snapshot } from "../../state/snapshot.ts";
import type { From } from "../incoming.ts";
import { type Exchange, proceed, refuse, type Verdict } from "../exchange.ts";
import type { Stage } from "../stage.ts";

export interface AuthenticateDeps {
  readonly authenticator: Authenticator;
  readonly callerCheck: CallerCheck;
  readonly sourceLimit: SourceLimit;
}

export function createAuthenticateStage(deps: AuthenticateDeps): Stage {
  return {
    name: "authenticate",
    enter(x: Exchange): Verdict | Promise<Verdict> {
      const found = identify(deps, x.incoming, x.snapshot);
      if (found instanceof Promise) return found.then((one) => settle(deps, x, one));
      return settle(deps, x, found);
    },
  };
}

/** Who the credential names, and whether this caller may use it from here and proves that it is its own. */
export function identify(
  deps: Pick<AuthenticateDeps, "authenticator" | "callerCheck">,
  from: From,
  snapshot: Snapshot,
): Principal | Fault | Promise<Principal | Fault> {
  const { credential } = from;
  const found =
    credential.kind === "certificate"
      ? deps.callerCheck.byCertificate(credential.certificate, snapshot)
      : deps.authenticator.authenticate(credential, snapshot);
  const check = (one: Principal | Fault) => {
    if (isFault(one)) return one;
    const refusal = deps.callerCheck.check(one, from, snapshot);
    if (refusal instanceof Promise) return refusal.then((fault) => fault ?? one);
    return refusal ?? one;
  };
  return found instanceof Promise ? found.then(check) : check(found);
}

function settle(deps: AuthenticateDeps, x: Exchange, found: Principal | Fault): Verdict {
  if (isFault(found)) {
    deps.sourceLimit.noteFailure(x.incoming.peer.address);
    return refuse(found);
  }
  if (!isOriginAllowed(found, x.snapshot, x.incoming.origin)) {
    return refuse(createFault("origin-refused", "This client may not be used from this origin"));
  }
  x.principal = found;
  return proceed;
}

/** Tells a refusal from a principal. */
export function isFault(found: Principal | Fault): found is Fault {
  return "name" in found;
}

/** A client with a list of origins may come from a browser only by one of them (P21). */
export function isOriginAllowed(
  principal: Principal,
  snapshot: Snapshot,
  origin: string | undefined,
): boolean {
  if (origin === undefined || principal.clientId === undefined) return true;
  const allowed = snapshot.clients.get(principal.clientId)?.allowedOrigins ?? [];
  return allowed.length === 0 || allowed.includes(origin);
}
