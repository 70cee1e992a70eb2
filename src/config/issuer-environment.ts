/**
 * One token issuer from the environment, by the names that earlier gateways used (`JWT_ISSUER`, `KEYCLOAK_URL` …). It
 * joins those of the file, and is checked like them. Pure; called by `load.ts`.
 */
import type { Environment } from "./environment.ts";

type Kind = "text" | "number" | "list";

/** Variable to the issuer's key. */
const variables: Readonly<Record<string, readonly [key: string, kind: Kind]>> = {
  JWT_ISSUER: ["issuer", "text"],
  KEYCLOAK_URL: ["keycloak_url", "text"],
  KEYCLOAK_REALM: ["realm", "text"],
  JWT_AUDIENCE: ["audiences", "list"],
  JWT_ALGORITHM: ["algorithms", "list"],
  JWT_ALLOWED_ALGORITHMS: ["algorithms", "list"],
  JWT_SECRET_KEY: ["secret", "text"],
  JWT_SECRET_KEY_FILE: ["secret_file", "text"],
  JWKS_URL: ["jwks_url", "text"],
  JWT_MAX_TOKEN_AGE_MINUTES: ["max_age_minutes", "number"],
  JWT_CLOCK_SKEW_SECONDS: ["clock_skew_seconds", "number"],
  JWT_USER_ID_CLAIM: ["subject_claim", "text"],
  JWT_EXP_CLAIM: ["exp_claim", "text"],
  JWT_IAT_CLAIM: ["iat_claim", "text"],
  JWT_TENANT_CLAIM: ["tenant_claim", "text"],
  JWT_API_VERSION_CLAIM: ["api_version_claim", "text"],
  JWT_ALLOWED_API_VERSIONS: ["allowed_api_versions", "list"],
};

export interface EnvironmentIssuer {
  /** In the file's names; undefined where no variable names an issuer. */
  readonly issuer: Readonly<Record<string, unknown>> | undefined;
  /** Key of the issuer to the variable that said it. */
  readonly origins: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

export function readEnvironmentIssuer(environment: Environment): EnvironmentIssuer {
  const issuer: Record<string, unknown> = {};
  const origins = new Map<string, string>();
  for (const [name, [key, kind]] of Object.entries(variables)) {
    const text = environment[name];
    if (text === undefined || text === "") continue;
    issuer[key] = readValue(text, kind);
    origins.set(key, name);
  }
  if (issuer.issuer === undefined && issuer.keycloak_url === undefined) {
    const names = [...origins.values()];
    const warnings = names.map((name) => `${name} is not used without JWT_ISSUER or KEYCLOAK_URL`);
    return { issuer: undefined, origins: new Map(), warnings };
  }
  if (issuer.keycloak_url !== undefined) issuer.realm ??= "mcp-gateway";
  return { issuer, origins, warnings: [] };
}

function readValue(text: string, kind: Kind): unknown {
  if (kind === "number") return /^\d+$/.test(text) ? Number(text) : text;
  if (kind === "text") return text;
  return text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}
