/**
 * What an allowed call still owes before it may go on: scopes, a recent enough login, a person's approval, in this
 * order. Pure; authorize asks it after the policy, wherever an object can be reached. What an obligation asks of the
 * way back (redaction, audit class) is read by the stages that do it; limits of rules are counted after authorize.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { Principal } from "../identity/principal.ts";
import type { Obligations, StepUp } from "../policy/rule.ts";

/** The refusal that says everything the call lacks; undefined where it owes nothing that it has not given. */
export function unmetFault(
  owed: Obligations | undefined,
  principal: Principal,
  nowMs: number,
): Fault | undefined {
  if (owed === undefined) return undefined;
  const lacksScopes = !hasScopes(owed.scopes, principal);
  const lacksLogin = !owed.stepUp.every((one) => hasSteppedUp(one, principal, nowMs));
  if (lacksScopes || lacksLogin) return challenge(owed, principal, lacksScopes, lacksLogin);
  // Approvals come with an issue of their own; until then nobody can give one, so the call never goes on.
  return owed.approval ? approvalNeeded : undefined;
}

const approvalNeeded = createFault(
  "approval-required",
  "Not executed: a person must approve this call first, and this gateway cannot take approvals yet",
  { reason: "approval-required" },
);

/**
 * Scopes say how much of a user's right a token was given. A client token was not given by a user: its client's own
 * lists are its scopes, so none is missing. Nobody at all has none.
 */
function hasScopes(needed: readonly string[], { kind, scopes }: Principal): boolean {
  if (needed.length === 0) return true;
  if (scopes === undefined) return kind !== "anonymous";
  return needed.every((scope) => scopes.includes(scope));
}

/** Clocks of an issuer may be ahead by this much; what claims to come later proves nothing. */
const clockSkewMs = 60_000;

/** Unknown is not proved: a credential that says nothing of a login has none. */
function hasSteppedUp(needed: StepUp, principal: Principal, nowMs: number): boolean {
  const { acr, amr, authenticatedAtMs } = principal;
  if (needed.acrValues.length > 0 && !needed.acrValues.includes(acr ?? "")) return false;
  if (needed.amrValues.length > 0 && !needed.amrValues.some((value) => amr.includes(value))) {
    return false;
  }
  if (needed.maxAgeSeconds === undefined) return true;
  if (authenticatedAtMs === undefined) return false;
  const ageMs = nowMs - authenticatedAtMs;
  return ageMs >= -clockSkewMs && ageMs <= needed.maxAgeSeconds * 1000;
}

/** Of `WWW-Authenticate`, and of the error's data. */
type Parameters = Readonly<Record<string, string>>;

/** One challenge with everything the operation needs, so that the client asks for a token once (RFC 6750, RFC 9470). */
function challenge(
  owed: Obligations,
  principal: Principal,
  lacksScopes: boolean,
  lacksLogin: boolean,
): Fault {
  const scope: Parameters = owed.scopes.length > 0 ? { scope: owed.scopes.join(" ") } : {};
  const login = lacksLogin ? loginNeeded(owed.stepUp) : {};
  if (principal.kind === "anonymous") {
    const needed = { ...scope, ...login };
    const more = { challenge: parameters(needed), data: needed, reason: "login-required" };
    return createFault("unauthenticated", "Authentication required", more);
  }
  const error = lacksScopes ? "insufficient_scope" : "insufficient_user_authentication";
  const needed = { error, ...scope, ...login };
  return lacksScopes
    ? createFault("insufficient-scope", "The token lacks a scope that this call needs", {
        challenge: parameters(needed),
        data: needed,
        reason: "insufficient-scope",
      })
    : createFault("step-up-required", "This call needs a stronger or more recent login", {
        challenge: parameters(needed),
        data: needed,
        reason: "step-up-required",
      });
}

/** Under the names that RFC 9470 gives them; it has none for `amr`, so ours says what it is. */
function loginNeeded(stepUps: readonly StepUp[]): Parameters {
  const acr = accepted(stepUps.map(({ acrValues }) => acrValues));
  const amr = accepted(stepUps.map(({ amrValues }) => amrValues));
  const ages = stepUps.flatMap(({ maxAgeSeconds }) => maxAgeSeconds ?? []);
  return {
    ...(acr === "" ? {} : { acr_values: acr }),
    ...(amr === "" ? {} : { amr_values: amr }),
    ...(ages.length === 0 ? {} : { max_age: String(Math.min(...ages)) }),
  };
}

/** The values that satisfy every demand; where none does alone, all that are named: a login may bring several. */
function accepted(demands: readonly (readonly string[])[]): string {
  const asked = demands.filter((values) => values.length > 0);
  const named = [...new Set(asked.flat())];
  const common = named.filter((value) => asked.every((values) => values.includes(value)));
  return (common.length > 0 ? common : named).join(" ");
}

/** Parameters of `WWW-Authenticate`; rules hold only values that need no escape. */
function parameters(values: Parameters): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${value}"`)
    .join(", ");
}
