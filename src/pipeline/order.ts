/**
 * The order of the stages, and why. `enter` runs top to bottom, `leave` bottom to top for the stages entered.
 */

import type { Stage } from "./stage.ts";
import { type AuditDeps, createAuditStage } from "./stages/audit.ts";
import { type AuthenticateDeps, createAuthenticateStage } from "./stages/authenticate.ts";
import { type AuthorizeDeps, createAuthorizeStage } from "./stages/authorize.ts";
import { type CacheDeps, createCacheStage } from "./stages/cache.ts";
import { createForwardStage, type ForwardDeps } from "./stages/forward.ts";
import { createIntentStage, type IntentDeps } from "./stages/intent.ts";
import { createParamHeadersStage, type ParamHeadersDeps } from "./stages/param-headers.ts";
import { createQuotaStage, type QuotaDeps } from "./stages/quota.ts";
import { createRateLimitStage, type RateLimitDeps } from "./stages/rate-limit.ts";
import { createResumeStage, type ResumeDeps } from "./stages/resume.ts";
import { createRouteStage, type RouteDeps } from "./stages/route.ts";
import { createSanitizeStage, type SanitizeDeps } from "./stages/sanitize.ts";
import { createSourceLimitStage, type SourceLimitDeps } from "./stages/source-limit.ts";
import { createValidateStage, type ValidateDeps } from "./stages/validate.ts";

export type StageDeps = AuditDeps &
  SourceLimitDeps &
  AuthenticateDeps &
  RateLimitDeps &
  AuthorizeDeps &
  QuotaDeps &
  ParamHeadersDeps &
  ResumeDeps &
  ValidateDeps &
  CacheDeps &
  SanitizeDeps &
  RouteDeps &
  IntentDeps &
  ForwardDeps;

export function buildStages(deps: StageDeps): readonly Stage[] {
  return [
    // Outermost, so that it sees every refusal and holds every reply until its record is durable.
    createAuditStage(deps),
    // Before anything is spent on the sender.
    createSourceLimitStage(deps),
    createAuthenticateStage(deps),
    // After authentication, so that a bucket belongs to somebody; before policy, so that probing is paid for.
    createRateLimitStage(deps),
    // Outside cache: a hit is still decided and filtered for this principal.
    createAuthorizeStage(deps),
    // After policy, which knows the target and its price; before anything is done for the call.
    createQuotaStage(deps),
    // After policy, so that a hidden tool says nothing of its schema; outside cache, which all transports share.
    createParamHeadersStage(deps),
    // After authorize, whose target a state is bound to; outside cache, so that what the server reads is its own.
    createResumeStage(deps),
    // After authorize, so that a hidden tool says nothing of its schema; outside cache, so that a hit is held to it too.
    createValidateStage(deps),
    // Outside sanitize: it keeps only what was already sanitised.
    createCacheStage(deps),
    createSanitizeStage(deps),
    createRouteStage(deps),
    // The durable "about to", directly before the act.
    createIntentStage(deps),
    createForwardStage(deps),
  ];
}
