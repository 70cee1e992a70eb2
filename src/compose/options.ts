/**
 * The configuration in the words of the folders it configures; certificates are read from their files. Used by
 * compose alone.
 */
import { readFileSync } from "node:fs";
import { type AgentsOptions, defaultAgentsOptions } from "../agents/options.ts";
import type { Config } from "../config/config.ts";
import type { IssuerConfig } from "../config/issuer-secrets.ts";
import type { JwtIssuerConfig } from "../identity/jwt-issuer-config.ts";
import type { LoginIssuer } from "../identity/login.ts";
import type { BodyRules } from "../pipeline/stored-bodies.ts";
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
    allowedNetworks: agents.allowedNetworks,
    deniedNetworks: agents.deniedNetworks,
    clientCertHeader: agents.clientCertHeader,
    tls: agents.tls === undefined ? undefined : readTls(agents.tls),
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
    sessionMaxMs: agents.sessionMaxSeconds * 1000,
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

/** Read when the listener is made: a file that cannot be read stops the start, with its name. */
function readTls(tls: NonNullable<Config["agents"]["tls"]>): AgentsOptions["tls"] {
  return {
    cert: readFileSync(tls.certificateFile, "utf8"),
    key: readFileSync(tls.keyFile, "utf8"),
    clientCa: tls.clientCaFile === undefined ? undefined : readFileSync(tls.clientCaFile, "utf8"),
  };
}

export function toIssuers(issuers: readonly IssuerConfig[]): readonly JwtIssuerConfig[] {
  return issuers.map((issuer) => {
    const { secret, introspection, login, apiVersionClaim, allowedApiVersions, ...plain } = issuer;
    const { requiredClaims } = issuer;
    const versions = { claim: apiVersionClaim ?? "v", values: allowedApiVersions };
    return {
      ...plain,
      secret: secret?.reveal(),
      introspection: introspection && {
        ...introspection,
        clientSecret: introspection.clientSecret?.reveal(),
        privateKey: introspection.privateKey?.reveal(),
      },
      requiredClaims:
        allowedApiVersions.length === 0 ? requiredClaims : [...requiredClaims, versions],
      claims: {
        subject: issuer.subjectClaim,
        roles: issuer.rolesClaim,
        groups: issuer.groupsClaim,
        tenant: issuer.tenantClaim,
        workspace: issuer.workspaceClaim,
        scopes: asList(issuer.scopeClaim),
        clientId: asList(issuer.clientClaim),
        expiry: issuer.expClaim,
        issuedAt: issuer.iatClaim,
      },
    };
  });
}

/** Those whose users may log in with a browser. */
export function toLoginIssuers(issuers: readonly IssuerConfig[]): readonly LoginIssuer[] {
  const converted = toIssuers(issuers);
  return converted.flatMap((issuer, at) => {
    const login = issuers[at]?.login;
    if (login === undefined) return [];
    const clientSecret = login.clientSecret?.reveal();
    const privateKey = login.privateKey?.reveal();
    return [{ issuer, login: { ...login, clientSecret, privateKey } }];
  });
}

function asList(name: string | undefined): readonly string[] | undefined {
  return name === undefined ? undefined : [name];
}

/** Room of a record besides its bodies. */
const recordCharsMax = 16 * 1024;
/** A character of a body is at most an escaped quote. */
const charsPerBodyChar = 2;

/** Longest record kept as it is: with the bodies that are kept. */
export function toRecordCharsMax({ audit }: Config): number {
  const kept = [audit.bodies.arguments, audit.bodies.result].filter((list) => list.length > 0);
  return recordCharsMax + kept.length * charsPerBodyChar * audit.bodies.charsMax;
}

export function toBodyRules({ audit }: Config): BodyRules {
  const { bodies } = audit;
  return {
    arguments: new Set(bodies.arguments),
    result: new Set(bodies.result),
    charsMax: bodies.charsMax,
  };
}
