/**
 * The configuration in the words of the folders it configures. Pure; used by compose alone.
 */
import { type AgentsOptions, defaultAgentsOptions } from "../agents/options.ts";
import type { Config, IssuerConfig } from "../config/config.ts";
import type { JwtIssuerConfig } from "../identity/jwt-issuer.ts";
import { defaultScanLimits } from "../protocol/scan.ts";

export function toAgentsOptions({ agents }: Config): AgentsOptions {
  return {
    ...defaultAgentsOptions,
    host: agents.host,
    port: agents.port,
    publicUrl: agents.publicUrl,
    allowedHosts: agents.allowedHosts,
    allowedOrigins: agents.allowedOrigins,
    trustedProxies: agents.trustedProxies,
    scan: {
      ...defaultScanLimits,
      depthMax: agents.jsonDepthMax,
      nodesMax: agents.jsonNodesMax,
      stringCharsMax: agents.jsonStringBytesMax,
    },
    bodyBytesMax: agents.bodyBytesMax,
    connectionsMax: agents.connectionsMax,
    connectionsPerPeerMax: agents.connectionsPerPeerMax,
    httpSse: agents.httpSse,
    sessionsMax: agents.sessionsMax,
    sessionsPerPrincipalMax: agents.sessionsPerPrincipalMax,
    sessionIdleMs: agents.sessionIdleSeconds * 1000,
    sseAfterMs: agents.sseAfterMs,
    keepAliveMs: agents.keepAliveSeconds * 1000,
    writeQueueBytesMax: agents.writeQueueBytesMax,
    slowReaderMs: agents.slowReaderSeconds * 1000,
    resumeEventsMax: agents.resumeEventsMax,
    resumeBytesMax: agents.resumeBytesMax,
    resumeSessionBytesMax: agents.resumeSessionBytesMax,
    resumeTotalBytesMax: agents.resumeTotalBytesMax,
    resumeMs: agents.resumeSeconds * 1000,
    wsIdleSeconds: agents.idleTimeoutSeconds,
  };
}

export function toIssuers(issuers: readonly IssuerConfig[]): readonly JwtIssuerConfig[] {
  return issuers.map((issuer) => ({
    issuer: issuer.issuer,
    audiences: issuer.audiences,
    algorithms: issuer.algorithms,
    jwksUrl: issuer.jwksUrl,
    jwksFile: issuer.jwksFile,
    secret: issuer.secret?.reveal(),
    clockSkewSeconds: issuer.clockSkewSeconds,
    maxAgeMinutes: issuer.maxAgeMinutes,
    claims: {
      subject: issuer.subjectClaim,
      roles: issuer.rolesClaim,
      groups: issuer.groupsClaim,
      tenant: issuer.tenantClaim,
    },
  }));
}
