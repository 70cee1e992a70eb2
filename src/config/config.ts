/**
 * The configuration as the rest of the program sees it: camelCase, complete, deeply frozen, secrets wrapped.
 * `load.ts` makes it; `compose/` hands each part to whoever needs it.
 */
import { type Camel, toCamel } from "./camel-case.ts";
import { buildIssuer, type IssuerConfig, type IssuerSecretTexts } from "./issuer-secrets.ts";
import type { PresetName } from "./presets.ts";
import type { ConfigValues } from "./schema.ts";
import { createSecret, type Secret } from "./secrets.ts";

type Sink = ConfigValues["audit"]["sinks"][number];

export type SinkConfig = Camel<Omit<Sink, "headers_file">> & {
  /** A header a line. */
  readonly headers: Secret | undefined;
};

type Limits = Camel<Omit<ConfigValues["limits"], "tiers" | "redis_url" | "redis_url_file">>;

/** What a tier sets; the rest keeps its default. */
export type TierConfig = Camel<ConfigValues["limits"]["tiers"][string]>;

export type Config = Camel<
  Omit<ConfigValues, "database" | "vault" | "identity" | "limits" | "audit">
> & {
  readonly database: { readonly url: Secret | undefined; readonly deadlineMs: number };
  readonly vault: Camel<Omit<ConfigValues["vault"], "url" | "url_file">> & {
    readonly url: Secret | undefined;
  };
  readonly audit: Camel<
    Omit<ConfigValues["audit"], "sinks" | "witness_database_url" | "witness_database_url_file">
  > & { readonly sinks: readonly SinkConfig[]; readonly witnessDatabaseUrl: Secret | undefined };
  readonly identity: Camel<Omit<ConfigValues["identity"], "jwt">> & {
    readonly jwt: { readonly issuers: readonly IssuerConfig[] };
  };
  readonly limits: Limits & {
    readonly redisUrl: Secret | undefined;
    /** By name, as the file spells it. */
    readonly tiers: Readonly<Record<string, TierConfig>>;
  };
  readonly preset: PresetName | undefined;
  /** All that stdio servers inherit: HOME, LOGNAME, PATH, SHELL, TERM, USER, where set. */
  readonly stdioEnvironment: Readonly<Record<string, string>>;
  /** What the operator should know and may keep, one sentence each; logged at the start. */
  readonly warnings: readonly string[];
};

/** Secrets as text, already read from wherever they were; lists are index for index. */
export interface SecretTexts {
  readonly databaseUrl: string | undefined;
  readonly vaultUrl: string | undefined;
  readonly witnessDatabaseUrl: string | undefined;
  readonly redisUrl: string | undefined;
  readonly issuers: readonly IssuerSecretTexts[];
  readonly sinkHeaders: readonly (string | undefined)[];
}

/** Turns checked values into the frozen `Config`. */
export function buildConfig(
  values: ConfigValues,
  secrets: SecretTexts,
  more: Pick<Config, "preset" | "stdioEnvironment" | "warnings">,
): Config {
  const { database, vault, identity, limits, audit, ...plain } = values;
  const { sinks, witness_database_url, witness_database_url_file, ...plainAudit } = audit;
  const { jwt, ...plainIdentity } = identity;
  const { tiers, redis_url, redis_url_file, ...plainLimits } = limits;
  return freezeDeep({
    ...toCamel(plain),
    database: { url: wrap(secrets.databaseUrl), deadlineMs: database.deadline_ms },
    vault: {
      keyFile: vault.key_file,
      nodeLocal: vault.node_local,
      url: wrap(secrets.vaultUrl),
    },
    audit: {
      ...toCamel(plainAudit),
      sinks: sinks.map(({ headers_file, ...sink }, at) => {
        return { ...toCamel(sink), headers: wrap(secrets.sinkHeaders[at]) };
      }),
      witnessDatabaseUrl: wrap(secrets.witnessDatabaseUrl),
    },
    identity: {
      ...toCamel(plainIdentity),
      jwt: {
        issuers: jwt.issuers.map((one, at) => buildIssuer(one, secrets.issuers[at])),
      },
    },
    limits: {
      ...toCamel(plainLimits),
      redisUrl: wrap(secrets.redisUrl),
      tiers: Object.fromEntries(
        Object.entries(tiers).map(([name, tier]) => [name, toCamel(tier)] as const),
      ),
    },
    ...more,
  });
}

function wrap(text: string | undefined): Secret | undefined {
  return text === undefined ? undefined : createSecret(text);
}

function freezeDeep<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freezeDeep(inner);
  }
  return value;
}
