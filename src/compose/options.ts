/**
 * The configuration in the words of the folders it configures; certificates are read from their files. Used by
 * compose alone.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type AgentsOptions, defaultAgentsOptions } from "../agents/options.ts";
import type { Config } from "../config/config.ts";
import type { IssuerConfig } from "../config/issuer-secrets.ts";
import type { JwtIssuerConfig } from "../identity/jwt-issuer.ts";
import { defaultScanLimits } from "../protocol/scan.ts";
import type { SinkSpec } from "./sink-messages.ts";

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
    const { secret, introspection, apiVersionClaim, allowedApiVersions, ...plain } = issuer;
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

function asList(name: string | undefined): readonly string[] | undefined {
  return name === undefined ? undefined : [name];
}

/** CAs are read when the sinks are made: a file that cannot be read stops the start, with its name. */
export function toSinks({ audit }: Config): readonly SinkSpec[] {
  return audit.sinks.map((sink): SinkSpec => {
    const { name, kind } = sink;
    switch (kind) {
      case "file":
        return {
          name,
          kind,
          path: resolve(sink.path ?? ""),
          rotateBytes: sink.rotateBytes ?? 100 * 1024 * 1024,
          rotateDaily: sink.rotateDaily ?? true,
          keepFiles: sink.keepFiles ?? 14,
          sync: sink.sync ?? true,
        };
      case "stdout":
        return { name, kind };
      case "syslog":
        return {
          name,
          kind,
          ...toHostAndPort(sink.address ?? ""),
          transport: sink.transport ?? "tls",
          facility: sink.facility ?? 13,
          ca: sink.caFile === undefined ? undefined : readFileSync(sink.caFile, "utf8"),
        };
      case "otlp":
        return { name, kind, url: sink.url ?? "", resource: toAttributes(sink.resource ?? []) };
      default:
        return kind satisfies never;
    }
  });
}

function toAttributes(pairs: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf("=");
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
}

function toHostAndPort(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(address.slice(colon + 1)) };
}
