/**
 * The text that an HTTP Message Signature signs (RFC 9421, section 2): one line for each covered component, then the
 * signature's own parameters. Knows requests only, plain fields and the derived components; whatever else a signer
 * covers is refused by name rather than guessed at. Throws `UncoveredError`.
 */
import { type InnerList, type Item, serializeInnerList, serializeItem } from "structured-headers";
import type { Evidence } from "../principal.ts";

export class UncoveredError extends Error {}

export type SignedRequest = Pick<Evidence, "method" | "url" | "headers">;

export function buildSignatureBase(request: SignedRequest, covered: InnerList): string {
  const [components] = covered;
  const lines: string[] = [];
  const seen = new Set<string>();
  for (const component of components) {
    const identifier = serializeItem(component);
    if (seen.has(identifier)) throw new UncoveredError(`${identifier} is covered twice`);
    seen.add(identifier);
    for (const value of valuesOf(request, component)) lines.push(`${identifier}: ${value}`);
  }
  lines.push(`"@signature-params": ${serializeInnerList(covered)}`);
  return lines.join("\n");
}

function valuesOf(request: SignedRequest, [name, parameters]: Item): readonly string[] {
  if (typeof name !== "string") throw new UncoveredError("a component's name must be a string");
  if (name === "@query-param") return queryParam(request, parameters);
  const [parameter] = parameters.keys();
  if (parameter !== undefined) {
    throw new UncoveredError(`"${name}";${parameter} is not supported: cover the plain component`);
  }
  return [name.startsWith("@") ? derived(request, name) : field(request, name)];
}

function derived({ method, url: text }: SignedRequest, name: string): string {
  const url = new URL(text);
  switch (name) {
    case "@method":
      return method;
    case "@target-uri":
      return text;
    case "@authority":
      return url.host;
    case "@scheme":
      return url.protocol.slice(0, -1);
    case "@request-target":
      return url.pathname + url.search;
    case "@path":
      return url.pathname;
    case "@query":
      return url.search === "" ? "?" : url.search;
    default:
      throw new UncoveredError(`${name} is not a component of a request`);
  }
}

function queryParam({ url }: SignedRequest, parameters: Item[1]): readonly string[] {
  const name = parameters.get("name");
  if (typeof name !== "string" || parameters.size !== 1) {
    throw new UncoveredError('"@query-param" needs the parameter name, and no other');
  }
  const found = [...new URL(url).searchParams].filter(([key]) => encode(key) === name);
  if (found.length === 0) throw new UncoveredError(`there is no query parameter ${name}`);
  return found.map(([, value]) => encode(value));
}

/** RFC 9421, section 2.2.8: percent-encoded as a form would be, with spaces as %20. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function field({ headers }: SignedRequest, name: string): string {
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) {
    throw new UncoveredError("a field's name must be in lower case");
  }
  const value = headers.get(name);
  if (value === null) throw new UncoveredError(`${name} is covered, but not in the request`);
  return value.trim();
}
