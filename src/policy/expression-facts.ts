/**
 * What conditions may look at. `decide.ts` fills it for a call, `recorded-decision.ts` for one that lies in the records,
 * and the functions of `expression-compile.ts` read it.
 */
import type { ArgumentValues } from "./argument-values.ts";
import type { Value } from "./expression-values.ts";

/** What an expression is about. Whatever hangs on a call is `unknown` while lists are filtered. */
export interface Facts {
  /** id, client_id, subject, issuer, tenant, workspace, roles, groups, scopes, acr, amr, claims; only what is known. */
  principal: Value;
  /** server, kind, target, action, and risk_tier for tools. */
  readonly call: Value;
  /** Undefined = unknown. */
  readonly arguments: ArgumentValues | undefined;
  /** Undefined = unknown. */
  readonly timeMs: number | undefined;
  readonly peer: Value;
}
