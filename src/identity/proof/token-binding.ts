/**
 * What a token is bound to, by its `cnf` claim (RFC 7800): a certificate (RFC 8705) or a key (RFC 9449). A binding of
 * any other kind is "unknown", and whoever presents such a token is refused, because we could not check it.
 */
import type { Principal } from "../principal.ts";

export interface TokenBinding {
  /** `x5t#S256` */
  readonly certificate: string | undefined;
  /** `jkt` */
  readonly key: string | undefined;
}

/** Undefined where the token is bound to nothing. */
export function bindingOf(principal: Principal): TokenBinding | "unknown" | undefined {
  const cnf = principal.claims?.cnf;
  if (cnf === undefined) return undefined;
  if (typeof cnf !== "object" || cnf === null || Array.isArray(cnf)) return "unknown";
  const members: readonly [string, unknown][] = Object.entries(cnf);
  const isKnown = members.every(
    ([name, value]) => (name === "x5t#S256" || name === "jkt") && typeof value === "string",
  );
  if (!isKnown || members.length === 0) return "unknown";
  const found = new Map(members);
  return { certificate: textOf(found.get("x5t#S256")), key: textOf(found.get("jkt")) };
}

/** The thumbprint of the key it is bound to. */
export function keyThumbprintOf(principal: Principal): string | undefined {
  const binding = bindingOf(principal);
  return binding === undefined || binding === "unknown" ? undefined : binding.key;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
