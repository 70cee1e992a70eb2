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
  values.identity.jwt.issuers.forEach((issuer, index) => {
    const url = issuer.jwks_url === undefined ? undefined : new URL(issuer.jwks_url);
    if (url?.protocol !== "http:" || isLoopback(url.hostname)) return;
    const path = `identity.jwt.issuers[${index}].jwks_url`;
    const message = `keys fetched over plain http can be replaced on the way; use https`;
    risks.push({ name: "plain-http-keys", path, message });
  });
  return risks;
}

/** A short shared secret can be guessed offline from one token, so no preset accepts it. */
function findWeakSecrets(values: ConfigValues, secrets: SecretTexts): readonly Risk[] {
  return values.identity.jwt.issuers.flatMap((issuer, index) => {
    const secret = secrets.issuers[index];
    if (secret === undefined) return [];
    const bytes = Buffer.byteLength(secret);
    const why =
      bytes < secretBytesMin
        ? `has ${bytes} bytes`
        : isGuessable(secret)
          ? "is an example's or repeats itself"
          : undefined;
    if (why === undefined) return [];
    const path = `identity.jwt.issuers[${index}].${issuer.secret === undefined ? "secret_file" : "secret"}`;
    const message = `the secret ${why}; at least ${secretBytesMin} random bytes are needed`;
    return [{ name: "weak-secret", path, message }];
  });
}

/** Words of samples that are copied as they are, and texts with too few different characters to be random (AN-22). */
function isGuessable(secret: string): boolean {
  const isSample =
    /change.?(me|this|in)|your.?(jwt.?)?(secret|key)|secret.?key|example|default|password/i;
  return isSample.test(secret) || new Set(secret).size < secretCharactersMin;
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
      values.audit.class_b_on_failure === "open",
      "unrecorded-calls",
      "audit.class_b_on_failure",
      'a call whose record is late must be refused; use "closed"',
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
      values.i_accept.length > 0,
      "accepted-risks",
      "i_accept",
      "no risk can be accepted under this preset; leave the key out",
    ],
  ];
  return rows.filter(([runs]) => runs).map(([, name, path, message]) => ({ name, path, message }));
}
