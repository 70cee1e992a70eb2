/**
 * Settings that are valid but dangerous, each by name (CF-02). Under a strict preset every one is refused; elsewhere
 * those that reach beyond this machine are refused until `i_accept` names them. Pure; called by `load.ts`.
 */

import type { SecretTexts } from "./config.ts";
import type { acceptableRisks, ConfigValues } from "./schema.ts";

export interface Risk {
  readonly name: string;
  /** The key that carries it, to find its line. */
  readonly path: string;
  readonly message: string;
}

type AcceptableRisk = (typeof acceptableRisks)[number];

const secretBytesMin = 32;
const secretCharactersMin = 10;

/** Every risk these values run that the preset, or the lack of an acceptance, forbids. */
export function findRisks(
  values: ConfigValues,
  secrets: SecretTexts,
  strict: boolean,
): readonly Risk[] {
  const accepted: readonly string[] = strict ? [] : values.i_accept;
  const everywhere = [...findExposures(values), ...findWeakSecrets(values, secrets)];
  const found = strict ? [...everywhere, ...findRelaxations(values)] : everywhere;
  return found.filter((risk) => !accepted.includes(risk.name));
}

/** True for addresses only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function findExposures(values: ConfigValues): readonly Risk[] {
  const { agents, admin, identity } = values;
  const risks: (Risk & { readonly name: AcceptableRisk })[] = [];
  if (identity.anonymous && !isLoopback(agents.host)) {
    const message = `anonymous callers on ${agents.host} let anybody on the network in`;
    risks.push({ name: "anonymous-access", path: "identity.anonymous", message });
  }
  if (!isLoopback(admin.host) && admin.tls === undefined) {
    const message = `operators' tokens would cross the network in the clear; set admin.tls`;
    risks.push({ name: "admin-without-tls", path: "admin.host", message });
  }
  if (agents.allowed_origins.includes("*")) {
    const message = `"*" lets every web page in a user's browser connect; name the origins`;
    risks.push({ name: "any-origin", path: "agents.allowed_origins", message });
  }
  return [...risks, ...findPlainHttp(values), ...findPlainSinks(values)];
}

/** Lines of the log name servers, tools and who called them (as tokens), and somebody on the way could change them. */
function findPlainSinks(values: ConfigValues): readonly Risk[] {
  return values.audit.sinks.flatMap((sink, index) => {
    const path = `audit.sinks[${index}].${sink.kind === "otlp" ? "url" : "address"}`;
    const isPlainSyslog = sink.transport === "udp" || sink.transport === "tcp";
    const isPlain = sink.kind === "otlp" ? sink.url?.startsWith("http:") : isPlainSyslog;
    const url = URL.parse(sink.url ?? `syslog://${sink.address ?? ""}`);
    if (isPlain !== true || url === null || isLoopback(url.hostname)) return [];
    const message = "records would cross the network in the clear; use tls or https";
    return [{ name: "plain-sinks", path, message }];
  });
}

/** Whatever an issuer is asked over plain http, somebody on the way may answer. */
function findPlainHttp(values: ConfigValues): readonly Risk[] {
  return values.identity.jwt.issuers.flatMap((issuer, index) => {
    const asked: Readonly<Record<string, string | undefined>> = {
      jwks_url: issuer.jwks_url,
      keycloak_url: issuer.keycloak_url,
      issuer: issuer.issuer?.startsWith("http:") ? issuer.issuer : undefined,
      "introspection.url": issuer.introspection?.url,
    };
    return Object.entries(asked).flatMap(([key, text]) => {
      const url = URL.parse(text ?? "");
      if (url?.protocol !== "http:" || isLoopback(url.hostname)) return [];
      const path = `identity.jwt.issuers[${index}].${key}`;
      const message = `keys fetched over plain http can be replaced on the way; use https`;
      return [{ name: "plain-http-keys", path, message }];
    });
  });
}

/** A short shared secret can be guessed offline from one token, so no preset accepts it. */
function findWeakSecrets(values: ConfigValues, secrets: SecretTexts): readonly Risk[] {
  return values.identity.jwt.issuers.flatMap((issuer, index) => {
    const secret = secrets.issuers[index]?.secret;
    if (secret === undefined) return [];
    const bytes = Buffer.byteLength(secret);
    const path = `identity.jwt.issuers[${index}].${issuer.secret === undefined ? "secret_file" : "secret"}`;
    if (bytes < secretBytesMin) {
      const message = `the secret has ${bytes} bytes; at least ${secretBytesMin} random ones are needed`;
      return [{ name: "weak-secret", path, message }];
    }
    if (!isGuessable(secret)) return [];
    const message = "the secret stands in documentation or repeats itself; make a random one";
    return [{ name: "weak-secret", path, message }];
  });
}

/** Words of examples of this and of other programs, and texts of too few characters to be random (AN-22). */
function isGuessable(secret: string): boolean {
  const isPublished =
    /change.?(?:me|this|in.?production)|your.?(?:256.?bit.?|jwt.?|super.?)?(?:secret|key)|(?:default|example|test|dev).?secret|secret.?key|is.?an.?example|password/i;
  return isPublished.test(secret) || new Set(secret).size < secretCharactersMin;
}

/** Records that nodes share, and keys that they do not. */
export function isVaultForgotten({ database, vault }: ConfigValues): boolean {
  const isShared = database.url !== undefined || database.url_file !== undefined;
  const hasVault = vault.url !== undefined || vault.url_file !== undefined;
  return isShared && !hasVault && !vault.node_local;
}

/** Harmless on a developer's machine, and never meant for anywhere else. */
function findRelaxations(values: ConfigValues): readonly Risk[] {
  const rows: readonly (readonly [boolean, string, string, string])[] = [
    [
      values.identity.anonymous,
      "anonymous-access",
      "identity.anonymous",
      "callers must present a credential",
    ],
    [
      values.identity.dev_issuer.enabled,
      "dev-issuer",
      "identity.dev_issuer.enabled",
      "tokens for the asking are for development alone",
    ],
    [
      values.servers.allow_private_network,
      "private-network-servers",
      "servers.allow_private_network",
      "servers in private ranges or on plain http are allowed one by one, by registration",
    ],
    [
      !values.audit.enabled,
      "audit-off",
      "audit.enabled",
      "what is done must be recorded; leave the key out",
    ],
    [
      values.audit.class_b_on_failure === "open",
      "unrecorded-calls",
      "audit.class_b_on_failure",
      'a call whose record is late must be refused; use "closed"',
    ],
    [
      isVaultForgotten(values),
      "node-local-vault",
      "vault.url",
      "records in PostgreSQL could be opened by the node that wrote them alone; set vault.url, or vault.node_local where that is meant",
    ],
    [
      !values.validation.tool_arguments,
      "unchecked-arguments",
      "validation.tool_arguments",
      "arguments must be held against the tools' schemas",
    ],
    [!values.sanitize.enabled, "unmasked-results", "sanitize.enabled", "masking must stay on"],
    [
      values.agents.public_url?.startsWith("http:") === true,
      "plain-http-public-url",
      "agents.public_url",
      "agents' tokens would cross the network in the clear; use https",
    ],
    [
      values.agents.insecure_cookies,
      "insecure-cookies",
      "agents.insecure_cookies",
      "users' browsers would send consent pages' cookies in the clear; use https",
    ],
    [
      values.i_accept.length > 0,
      "accepted-risks",
      "i_accept",
      "no risk can be accepted under this preset; leave the key out",
    ],
  ];
  return rows.filter(([runs]) => runs).map(([, name, path, message]) => ({ name, path, message }));
}
