/**
 * Whom a token is for. Either the issuer's tokens name one of the audiences an operator listed, or they name the very
 * endpoint they are presented at (RFC 8707), in its canonical form. Nothing is matched in part (AN-08). Pure.
 */

export type AudienceRule =
  | { readonly kind: "listed"; readonly values: ReadonlySet<string> }
  /** `base` is the gateway's public URL in canonical form, without a slash at its end. */
  | { readonly kind: "resource"; readonly base: string };

/** Where a token is presented: a way in, and the path's first segment. */
export interface Endpoint {
  readonly binding: "http" | "sse" | "websocket";
  readonly scope: string;
}

const audiencesMax = 32;
const suffixes = { http: "mcp", sse: "sse", websocket: "ws" } as const;

/** What the `aud` says; undefined where it is none, or none of those listed. */
export function audiencesOf(
  audience: unknown,
  rule: AudienceRule,
): { readonly resources: readonly string[] | undefined } | undefined {
  const list: unknown = typeof audience === "string" ? [audience] : audience;
  if (!Array.isArray(list) || list.length === 0 || list.length > audiencesMax) return undefined;
  if (!list.every((one): one is string => typeof one === "string")) return undefined;
  if (rule.kind === "resource") return { resources: list.map(canonicalResource) };
  return list.some((one) => rule.values.has(one)) ? { resources: undefined } : undefined;
}

/** Whether a token for these resources may be used at the endpoint; the merge of everything also has a short path. */
export function isForEndpoint(
  resources: readonly string[],
  base: string,
  { binding, scope }: Endpoint,
): boolean {
  const suffix = suffixes[binding];
  if (resources.includes(`${base}/${scope}/${suffix}`)) return true;
  return scope === "all" && binding !== "sse" && resources.includes(`${base}/${suffix}`);
}

/** Scheme and host in lower case, the rest as it is: RFC 3986 6.2.2.1, and no other freedom. */
export function canonicalResource(uri: string): string {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(uri)?.[0];
  return authority === undefined ? uri : authority.toLowerCase() + uri.slice(authority.length);
}

/** The gateway's public URL, without a slash at its end. */
export function canonicalBase(publicUrl: string): string {
  return new URL(publicUrl).href.replace(/\/+$/, "");
}
