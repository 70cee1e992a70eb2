/**
 * Reads every secret the configuration names, from its file or as it stands, and refuses files that are not private.
 * Called by `load.ts`.
 */
import { readFileSync, statSync } from "node:fs";
import type { SecretTexts } from "./config.ts";
import { readIssuerSecrets } from "./issuer-secrets.ts";
import { ConfigError } from "./problem.ts";
import type { ConfigValues } from "./schema.ts";
import { readSinkHeaders } from "./sink-secrets.ts";

/** `locate` says where the value of a path came from. */
export function readSecrets(values: ConfigValues, locate: (path: string) => string): SecretTexts {
  const { url, url_file } = values.database;
  const { redis_url, redis_url_file } = values.limits;
  const { vault } = values;
  const vaultUrl = readOneUrl("vault", "url", [vault.url, vault.url_file], locate);
  const databaseUrl = readOneUrl("database", "url", [url, url_file], locate);
  const redisUrl = readOneUrl("limits", "redis_url", [redis_url, redis_url_file], locate);
  const { witness_database_url, witness_database_url_file } = values.audit;
  const witnessUrls = [witness_database_url, witness_database_url_file] as const;
  const witnessDatabaseUrl = readOneUrl("audit", "witness_database_url", witnessUrls, locate);
  const issuers = values.identity.jwt.issuers.map((issuer, index) =>
    readIssuerSecrets(issuer, (path, key) =>
      readSecretFile(path, locate(`identity.jwt.issuers[${index}].${key}`)),
    ),
  );
  const sinkHeaders = values.audit.sinks.map((sink, index) =>
    readSinkHeaders(sink, locate(`audit.sinks[${index}].headers_file`), readSecretFile),
  );
  return { databaseUrl, vaultUrl, witnessDatabaseUrl, redisUrl, issuers, sinkHeaders };
}

const urlNames = {
  database: "database",
  vault: "vault's",
  audit: "witness database's",
  limits: "Redis",
} as const;

/** A URL with a password in it: given as it is or as a file, not both. */
function readOneUrl(
  section: keyof typeof urlNames,
  key: string,
  [url, file]: readonly [string | undefined, string | undefined],
  locate: (path: string) => string,
): string | undefined {
  const place = locate(`${section}.${key}_file`);
  if (url !== undefined && file !== undefined) {
    const message = `give the ${urlNames[section]} URL once: here, or as ${section}.${key}`;
    throw new ConfigError([{ where: place, message }]);
  }
  return file === undefined ? url : readSecretFile(file, place);
}

/** Reads a secret, without its last line break; refused where others on the machine may read it (CF-04). */
function readSecretFile(path: string, where: string): string {
  try {
    const mode = statSync(path).mode & 0o777;
    if ((mode & 0o007) !== 0) {
      const message = `${path} is open to every user (mode ${mode.toString(8)}); use chmod 600`;
      throw new ConfigError([{ where, message }]);
    }
    const text = readFileSync(path, "utf8").replace(/\r?\n$/, "");
    if (text === "") throw new ConfigError([{ where, message: `${path} is empty` }]);
    return text;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError([{ where, message: `the secret cannot be read: ${why}` }]);
  }
}
