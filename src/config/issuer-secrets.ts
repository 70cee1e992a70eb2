/**
 * The secrets of token issuers: which there are, where they may be read from, and how the finished configuration holds
 * them. `load.ts` reads the files.
 */
import { type Camel, toCamel } from "./camel-case.ts";
import type { ConfigValues } from "./schema.ts";
import { createSecret, type Secret } from "./secrets.ts";

/** One issuer as the file says it. */
type ConfigIssuer = ConfigValues["identity"]["jwt"]["issuers"][number];

/** As text, already read from wherever they were. */
export interface IssuerSecretTexts {
  readonly secret: string | undefined;
  readonly clientSecret: string | undefined;
  readonly privateKey: string | undefined;
  /** Of the login. */
  readonly loginSecret: string | undefined;
  readonly loginKey: string | undefined;
}

type Introspection = NonNullable<ConfigIssuer["introspection"]>;
type Login = NonNullable<ConfigIssuer["login"]>;
type Wrapped<Client> = Camel<
  Omit<Client, "client_secret" | "client_secret_file" | "private_key_file">
> & { readonly clientSecret: Secret | undefined; readonly privateKey: Secret | undefined };

export type IntrospectionConfig = Wrapped<Introspection>;
export type LoginConfig = Wrapped<Login>;

/** One believed token issuer; its secrets, wherever they came from, are wrapped. */
export type IssuerConfig = Camel<
  Omit<ConfigIssuer, "secret" | "secret_file" | "introspection" | "login">
> & {
  readonly secret: Secret | undefined;
  readonly introspection: IntrospectionConfig | undefined;
  readonly login: LoginConfig | undefined;
};

/** `readFile` is told the file and the key that named it. */
export function readIssuerSecrets(
  issuer: ConfigIssuer,
  readFile: (path: string, key: string) => string,
): IssuerSecretTexts {
  const { introspection, login } = issuer;
  const read = (path: string | undefined, key: string) =>
    path === undefined ? undefined : readFile(path, key);
  return {
    secret: issuer.secret ?? read(issuer.secret_file, "secret_file"),
    clientSecret:
      introspection?.client_secret ??
      read(introspection?.client_secret_file, "introspection.client_secret_file"),
    privateKey: read(introspection?.private_key_file, "introspection.private_key_file"),
    loginSecret:
      login?.client_secret ?? read(login?.client_secret_file, "login.client_secret_file"),
    loginKey: read(login?.private_key_file, "login.private_key_file"),
  };
}

export function buildIssuer(
  issuer: ConfigIssuer,
  texts: IssuerSecretTexts | undefined,
): IssuerConfig {
  const { secret, secret_file, introspection, login, ...plain } = issuer;
  return {
    ...toCamel(plain),
    secret: wrap(texts?.secret),
    introspection:
      introspection === undefined ? undefined : buildIntrospection(introspection, texts),
    login: login === undefined ? undefined : buildLogin(login, texts),
  };
}

function buildIntrospection(
  introspection: Introspection,
  texts: IssuerSecretTexts | undefined,
): IntrospectionConfig {
  const { client_secret, client_secret_file, private_key_file, ...plain } = introspection;
  return {
    ...toCamel(plain),
    clientSecret: wrap(texts?.clientSecret),
    privateKey: wrap(texts?.privateKey),
  };
}

function buildLogin(login: Login, texts: IssuerSecretTexts | undefined): LoginConfig {
  const { client_secret, client_secret_file, private_key_file, ...plain } = login;
  const { loginSecret, loginKey } = texts ?? {};
  return { ...toCamel(plain), clientSecret: wrap(loginSecret), privateKey: wrap(loginKey) };
}

function wrap(text: string | undefined): Secret | undefined {
  return text === undefined ? undefined : createSecret(text);
}
