/**
 * The secrets of token issuers: which there are, where they may be read from, and how the finished configuration holds
 * them. `load.ts` reads the files.
 */
import type { Camel, ConfigIssuer } from "./config.ts";
import { createSecret, type Secret } from "./secrets.ts";

/** As text, already read from wherever they were. */
export interface IssuerSecretTexts {
  readonly secret: string | undefined;
  readonly clientSecret: string | undefined;
  readonly privateKey: string | undefined;
}

type Introspection = NonNullable<ConfigIssuer["introspection"]>;

export type IntrospectionConfig = Camel<
  Omit<Introspection, "client_secret" | "client_secret_file" | "private_key_file">
> & { readonly clientSecret: Secret | undefined; readonly privateKey: Secret | undefined };

/** One believed token issuer; its secrets, wherever they came from, are wrapped. */
export type IssuerConfig = Camel<Omit<ConfigIssuer, "secret" | "secret_file" | "introspection">> & {
  readonly secret: Secret | undefined;
  readonly introspection: IntrospectionConfig | undefined;
};

/** `readFile` is told the file and the key that named it. */
export function readIssuerSecrets(
  issuer: ConfigIssuer,
  readFile: (path: string, key: string) => string,
): IssuerSecretTexts {
  const { introspection } = issuer;
  const read = (path: string | undefined, key: string) =>
    path === undefined ? undefined : readFile(path, key);
  return {
    secret: issuer.secret ?? read(issuer.secret_file, "secret_file"),
    clientSecret:
      introspection?.client_secret ??
      read(introspection?.client_secret_file, "introspection.client_secret_file"),
    privateKey: read(introspection?.private_key_file, "introspection.private_key_file"),
  };
}

export function buildIssuer(
  issuer: ConfigIssuer,
  texts: IssuerSecretTexts | undefined,
  toCamel: <Value>(value: Value) => Camel<Value>,
): IssuerConfig {
  const { secret, secret_file, introspection, ...plain } = issuer;
  return {
    ...toCamel(plain),
    secret: wrap(texts?.secret),
    introspection:
      introspection === undefined ? undefined : buildIntrospection(introspection, texts, toCamel),
  };
}

function buildIntrospection(
  introspection: Introspection,
  texts: IssuerSecretTexts | undefined,
  toCamel: <Value>(value: Value) => Camel<Value>,
): IntrospectionConfig {
  const { client_secret, client_secret_file, private_key_file, ...plain } = introspection;
  return {
    ...toCamel(plain),
    clientSecret: wrap(texts?.clientSecret),
    privateKey: wrap(texts?.privateKey),
  };
}

function wrap(text: string | undefined): Secret | undefined {
  return text === undefined ? undefined : createSecret(text);
}
