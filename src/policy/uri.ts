/**
 * Puts resource URIs into one canonical form before policy looks at them, so that two spellings of one resource get
 * one decision. Whatever could mean different things to us and to a server is refused. Also matches `*` patterns.
 */
const uriLengthMax = 8 * 1024;
const shape = /^([A-Za-z][A-Za-z0-9+.-]*):(?:\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/s;
/** Characters of RFC 3986, the braces of URI templates, and `%`, which is judged apart. */
const plain = /[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;={}%]/;
const unreserved = /[A-Za-z0-9\-._~]/;
/** Control characters, and the backslash some servers read as a slash. */
const refusedCharacters = /[\p{Cc}\\]/u;
/** A second round of decoding would turn these into dots, slashes, backslashes or NUL. */
const doublyEncoded = /%25(?:2e|2f|5c|00|25)/i;
const encodedControl = /%(?:[01][0-9a-f]|7f|5c)/i;

/** The canonical form, or undefined where the URI has none. */
export function canonicalUri(uri: string): string | undefined {
  if (uri.length > uriLengthMax || refusedCharacters.test(uri) || !uri.isWellFormed()) {
    return undefined;
  }
  if (doublyEncoded.test(uri) || encodedControl.test(uri)) return undefined;
  const parts = shape.exec(uri);
  if (parts === null) return undefined;
  const [, scheme = "", authority, rawPath = "", rawQuery = "", rawFragment = ""] = parts;
  const host = authority === undefined ? undefined : normalisePercent(authority);
  const path = normalisePercent(rawPath);
  const query = normalisePercent(rawQuery);
  const fragment = normalisePercent(rawFragment);
  if (path === undefined || query === undefined || fragment === undefined) return undefined;
  if (authority !== undefined && host === undefined) return undefined;
  if (hasHiddenDots(path)) return undefined;
  const resolved = removeDots(path);
  // `x:/.//host` would turn into `x://host`: a path may not become an authority.
  if (host === undefined && resolved.startsWith("//")) return undefined;
  const prefix = host === undefined ? "" : `//${normaliseAuthority(scheme, host)}`;
  return `${scheme.toLowerCase()}:${prefix}${resolved}${query}${fragment}`;
}

/**
 * A pattern in canonical form: as a URI, with `*` standing for any run of characters. Undefined where it could never
 * match one: no scheme, dot segments, bad escapes.
 */
export function canonicalPattern(pattern: string): string | undefined {
  if (pattern === "*") return pattern;
  const canonical = canonicalUri(pattern.startsWith("*") ? `x:${pattern}` : pattern);
  if (canonical === undefined) return undefined;
  const dotted = pattern.split(/[?#]/, 1)[0]?.split("/") ?? [];
  if (dotted.some((one) => one === "." || one === "..")) return undefined;
  return pattern.startsWith("*") ? canonical.slice(2) : canonical;
}

/** Whether the whole text matches. Greedy with one point of return: at worst pattern length x text length. */
export function matchesGlob(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let starAt = -1;
  let resumeAt = 0;
  while (t < text.length) {
    if (pattern[p] === "*") {
      starAt = p;
      resumeAt = t;
      p += 1;
    } else if (p < pattern.length && pattern[p] === text[t]) {
      p += 1;
      t += 1;
    } else if (starAt >= 0) {
      p = starAt + 1;
      resumeAt += 1;
      t = resumeAt;
    } else return false;
  }
  while (pattern[p] === "*") p += 1;
  return p === pattern.length;
}

/** Escapes decoded where they need not be, upper-case where they must be; undefined for a broken one. */
function normalisePercent(text: string): string | undefined {
  let result = "";
  for (let at = 0; at < text.length; ) {
    const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
    if (character !== "%") {
      result += plain.test(character) ? character : encodeURIComponent(character);
      at += character.length;
      continue;
    }
    const hex = text.slice(at + 1, at + 3);
    if (!/^[0-9A-Fa-f]{2}$/.test(hex)) return undefined;
    const decoded = String.fromCharCode(Number.parseInt(hex, 16));
    result += unreserved.test(decoded) ? decoded : `%${hex.toUpperCase()}`;
    at += 3;
  }
  return result;
}

/** Dot segments that appear only if `%2F` is read as a slash: we would see one path and the server another. */
function hasHiddenDots(path: string): boolean {
  if (!path.includes("%2F")) return false;
  return path.split(/%2F|\//).some((one) => one === "." || one === "..");
}

/** RFC 3986 5.2.4; a path without a leading slash keeps not having one. */
function removeDots(path: string): string {
  if (!path.includes(".")) return path;
  const kept: string[] = [];
  const segments = path.split("/");
  const rooted = path.startsWith("/");
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (segment === "..") {
      if (kept.length > (rooted ? 1 : 0)) kept.pop();
    } else if (segment !== ".") {
      kept.push(segment);
      continue;
    }
    if (isLast) kept.push("");
  }
  return kept.join("/");
}

function normaliseAuthority(scheme: string, authority: string): string {
  const at = authority.lastIndexOf("@");
  const user = authority.slice(0, at + 1);
  const host = authority.slice(at + 1).toLowerCase();
  const defaultPort = { http: ":80", https: ":443", ws: ":80", wss: ":443" }[scheme.toLowerCase()];
  const bare =
    defaultPort !== undefined && host.endsWith(defaultPort)
      ? host.slice(0, -defaultPort.length)
      : host;
  return user + (bare.endsWith(":") ? bare.slice(0, -1) : bare);
}
