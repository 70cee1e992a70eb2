/**
 * Lays what we know about a provider under what the operator wrote: the operator's word wins, except for the claims a
 * provider's tokens are told apart by. Throws invalid-params where both cannot be true. Pure.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { JwtIssuerConfig } from "../jwt-issuer-config.ts";
import type { Provider } from "./provider.ts";
import { providers } from "./table.ts";

export type AppliedIssuer = JwtIssuerConfig & {
  readonly issuer: string;
  readonly algorithms: readonly string[];
} & Pick<Provider, "groupsAreElsewhere"> & { readonly issuerAliases: readonly string[] };

export function applyProvider(config: JwtIssuerConfig): AppliedIssuer {
  const named = withRealm(config);
  const { issuer } = named;
  if (issuer === undefined || issuer === "") {
    return refuse(config, "issuer must be given, or keycloak_url and realm");
  }
  if (named.provider === undefined) {
    return { ...named, issuer, algorithms: named.algorithms ?? [], issuerAliases: [] };
  }
  const provider = findProvider(named, named.provider);
  const form = provider.issuerForm;
  const hasKeys = [named.jwksUrl, named.jwksFile].some((one) => one !== undefined);
  if (!form.test(issuer) && !hasKeys) {
    refuse(config, `is not one of ${named.provider}'s, such as ${provider.issuerExample}`);
  }
  const restricted = (named.requiredClaims ?? []).map(({ claim }) => claim);
  const must = provider.mustRestrict;
  if (must !== undefined && !restricted.includes(must.claim)) {
    refuse(config, `required_claims must restrict "${must.claim}": ${must.because}`);
  }
  return {
    ...named,
    issuer,
    algorithms: named.algorithms ?? provider.algorithms,
    jwksUrl: hasKeys ? named.jwksUrl : issuer.replace(form, provider.keysUrl),
    claims: { ...provider.claims, ...definedOf(named.claims ?? {}) },
    requiredClaims: [
      ...(provider.requiredClaims ?? []).filter(({ claim }) => !restricted.includes(claim)),
      ...(named.requiredClaims ?? []),
    ],
    groupsAreElsewhere: named.groupsOverage === "ignore" ? undefined : provider.groupsAreElsewhere,
    issuerAliases: provider.issuerAliases ?? [],
  };
}

/** A13: a Keycloak is mostly known by its address and a realm's name. */
function withRealm(config: JwtIssuerConfig): JwtIssuerConfig {
  const { keycloakUrl, realm } = config;
  if (keycloakUrl === undefined && realm === undefined) return config;
  if (keycloakUrl === undefined || realm === undefined) {
    return refuse(config, "keycloak_url and realm go together");
  }
  if (config.provider !== undefined && config.provider !== "keycloak") {
    return refuse(config, `keycloak_url does not go with provider ${config.provider}`);
  }
  if (!/^[^/?#\s]+$/.test(realm)) return refuse(config, "realm must be one path segment");
  const issuer = `${keycloakUrl.replace(/\/+$/, "")}/realms/${realm}`;
  if (config.issuer !== undefined && config.issuer !== issuer && config.jwksUrl === undefined) {
    // Behind a proxy both addresses differ: tokens name the outer one, and keys are fetched from the inner one.
    const jwksUrl = `${issuer}/protocol/openid-connect/certs`;
    return { ...config, provider: "keycloak", jwksUrl };
  }
  return { ...config, provider: "keycloak", issuer: config.issuer ?? issuer };
}

function findProvider(config: JwtIssuerConfig, name: string): Provider {
  const found = Object.hasOwn(providers, name) ? providers[name] : undefined;
  if (found !== undefined) return found;
  return refuse(config, `provider must be one of ${Object.keys(providers).join(", ")}`);
}

/** Without the members that are there and say nothing. */
export function definedOf<Value extends object>(value: Value): Partial<Value> {
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries) as Partial<Value>;
}

function refuse(config: JwtIssuerConfig, what: string): never {
  const name = config.issuer ?? config.keycloakUrl ?? "";
  throw new GatewayError("invalid-params", `JWT issuer "${name}": ${what}`);
}
