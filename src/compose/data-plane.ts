/**
 * The agents' side: the pipeline's stages with what they need, and the listener in front of them.
 */
import { type AgentsListener, createAgentsListener } from "../agents/listener.ts";
import { createRejections } from "../audit/rejections.ts";
import { createAuthenticator } from "../identity/authenticator.ts";
import { createCallerCheck } from "../identity/proof/caller-check.ts";
import { createScopeCheck } from "../identity/required-scopes.ts";
import {
  authorizationServerMetadataUrl,
  buildResourceMetadata,
} from "../identity/resource-metadata.ts";
import { version } from "../lib/version.ts";
import { createDispatch } from "../pipeline/dispatch.ts";
import { createLongNames } from "../pipeline/long-names.ts";
import { createResourceOwners } from "../pipeline/resource-owners.ts";
import { createRedactor } from "../sanitize/redactor.ts";
import { createArgumentCheck } from "../schemas/argument-check.ts";
import { createOffice } from "./consents.ts";
import type { Limits } from "./limits.ts";
import { toAgentsOptions, toBodyRules } from "./options.ts";
import type { Parts } from "./parts.ts";
import { createVerifier } from "./token-issuers.ts";

export type GatewayDispatch = ReturnType<typeof createGatewayDispatch>;

const rejectionKeysMax = 1_000;
/** Longest one server may take while others wait for it in a merged list. */
const mergeTimeoutMs = 5_000;

export function createGatewayDispatch(parts: Parts, limits: Limits) {
  const { config, clock, log, metrics, audit, current, servers, changes, cache } = parts;
  const { identity } = config;
  const jwt = createVerifier(parts);
  const scopeCheck = createScopeCheck(identity.requiredScopes);
  const rejections = createRejections({ audit, keysMax: rejectionKeysMax });
  const dispatch = createDispatch({
    audit,
    leafOf: audit.evidence?.leafOf,
    classBOnFailure: config.audit.classBOnFailure,
    bodies: toBodyRules(config),
    rejections,
    clock,
    log,
    metrics,
    current,
    servers,
    cache,
    changes,
    redact: createRedactor({
      isEnabled: config.sanitize.enabled,
      extraFields: config.sanitize.extraFields,
      excludedFields: config.sanitize.excludedFields,
      profiles: config.sanitize.profiles,
    }),
    ...limits.stages,
    authenticator: createAuthenticator({
      hashToken: parts.tokenDigest,
      jwt,
      allowAnonymous: identity.anonymous,
      clock,
      metrics,
      onClockJump: (behindMs) => log.warn("clock.jump", { behindMs }),
    }),
    callerCheck: createCallerCheck({
      clock,
      metrics,
      secretOf: parts.signingSecret,
      proofWindowSeconds: identity.proofs.windowSeconds,
      proofsRememberedMax: identity.proofs.rememberedMax,
      dpopNonce: identity.proofs.dpopNonce,
    }),
    lastUse: parts.lastUse,
    scopeCheck,
    baggageKeys: config.agents.baggageKeys,
    paramHeaders: config.agents.paramHeaders,
    argumentCheck: config.validation.toolArguments ? createArgumentCheck() : undefined,
    longNames: createLongNames({ servers, log }),
    owners: createResourceOwners({
      servers,
      changes,
      clock,
      ttlMs: config.cache.listTtlSeconds * 1000,
    }),
    states: parts.requestStates,
    taskIds: parts.taskIds,
    gateway: { name: "mcp-gateway", version },
    mergeTimeoutMs,
    callTimeoutMs: config.call.timeoutSeconds * 1000,
  });
  const issuers = jwt?.issuers ?? [];
  return {
    ...dispatch,
    rejections,
    resourceMetadata: (resource: string, scope: string) => {
      const scopes = [...new Set([...scopeCheck.needs(scope), ...identity.scopesSupported])];
      return buildResourceMetadata({ resource, issuers, scopes });
    },
    authorizationServerUrl: authorizationServerMetadataUrl(issuers),
  };
}

export function createListener(parts: Parts, dispatch: GatewayDispatch): AgentsListener {
  const { config, log, metrics, clock, current } = parts;
  return createAgentsListener({
    options: toAgentsOptions(config),
    dispatch,
    log,
    metrics,
    clock,
    snapshotChanges: (changed) => current.subscribe(() => changed()),
    resourceMetadata: dispatch.resourceMetadata,
    authorizationServerUrl: dispatch.authorizationServerUrl,
    consentOffice: createOffice(parts),
    version,
  });
}
