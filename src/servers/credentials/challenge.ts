/**
 * What a server says with its 401 or 403: the parameters of the Bearer challenge (RFC 6750, RFC 9728). Pure; a value
 * that cannot be read is no challenge, and a server's words never grow without bound.
 */
export interface Challenge {
  readonly error: string | undefined;
  readonly scopes: readonly string[] | undefined;
  /** Where the server's metadata lie, not yet checked. */
  readonly metadataUrl: string | undefined;
}

const none: Challenge = Object.freeze({
  error: undefined,
  scopes: undefined,
  metadataUrl: undefined,
});
const headerCharsMax = 8_192;
const scopesMax = 64;
const parameter = /([a-z_]+)[\t ]*=[\t ]*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/gi;
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;

export function readChallenge(header: string | undefined): Challenge {
  const start = header === undefined ? -1 : header.search(/(?:^|[,\s])bearer(?:\s|$)/i);
  if (header === undefined || start === -1 || header.length > headerCharsMax) return none;
  const found = new Map<string, string>();
  for (const [, name = "", quoted, plain] of header.slice(start).matchAll(parameter)) {
    const value = quoted?.replace(/\\(.)/g, "$1") ?? plain ?? "";
    if (!found.has(name.toLowerCase())) found.set(name.toLowerCase(), value);
  }
  const scopes = scopesIn(found.get("scope") ?? "");
  return {
    error: found.get("error"),
    scopes: scopes.length === 0 ? undefined : scopes,
    metadataUrl: found.get("resource_metadata"),
  };
}

/** The scopes of a list as OAuth writes it; what cannot be one is left out. */
export function scopesIn(text: string): readonly string[] {
  return text
    .split(" ")
    .filter((scope) => scopeToken.test(scope))
    .slice(0, scopesMax);
}
