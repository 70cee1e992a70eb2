/**
 * Who is calling. Turns the credential into a principal or refuses with 401; every failure, bugs included, is a
 * refusal (AN-01). Nothing after this stage ever sees the credential. Also holds a client to the origins it was
 * registered with.
 */
import { createFault, type Fault } from "../../errors/fault.ts";
import type { LastUse } from "../../identity/last-use.ts";
import type { Principal } from "../../identity/principal.ts";
import type { ScopeCheck } from "../../identity/required-scopes.ts";
import type { SourceLimit } from "../../limits/source-limit.ts";
import type { Snapshot } from "../../state/snapshot.ts";
import { type Exchange, proceed, refuse, type Verdict } from "../exchange.ts";
import { type IdentifyDeps, identify, isFault } from "../identify.ts";
import type { Stage } from "../stage.ts";
import { visibleScope } from "./authorize.ts";

export interface AuthenticateDeps extends IdentifyDeps {
  readonly sourceLimit: SourceLimit;
  readonly lastUse: Pick<LastUse, "note">;
  /** OAuth scopes that endpoints ask of a token. */
  readonly scopeCheck: ScopeCheck;
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

function settle(deps: AuthenticateDeps, x: Exchange, found: Principal | Fault): Verdict {
  if (isFault(found)) {
    deps.sourceLimit.noteFailure(x.incoming.peer.address);
    return refuse(deps.scopeCheck.challenged(found, x.incoming.scope));
  }
  if (!isOriginAllowed(found, x.snapshot, x.incoming.origin)) {
    return refuse(createFault("origin-refused", "This client may not be used from this origin"));
  }
  const lacking = lackingScopes(deps.scopeCheck, found, x.snapshot, x.incoming.scope);
  if (lacking !== undefined) return refuse(lacking);
  deps.lastUse.note(found);
  x.principal = found;
  return proceed;
}

/** What is missing, told only to who may see the endpoint: to others it does not exist, as authorize will say. */
export function lackingScopes(
  scopeCheck: ScopeCheck,
  principal: Principal,
  snapshot: Snapshot,
  scope: string,
): Fault | undefined {
  const lacking = scopeCheck.check(principal, scope);
  if (lacking === undefined || principal.kind === "anonymous") return lacking;
  return visibleScope(snapshot, principal, scope) === undefined ? undefined : lacking;
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
