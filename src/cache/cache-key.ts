/**
 * What makes two requests the same for the reply cache, as unambiguous bytes: every part with its length before it,
 * arguments in canonical form. The bytes are both the index's input and the entry's associated data.
 */
import { canonicalJson } from "./canonical-json.ts";

export interface CacheIdentity {
  /** Whose reply it is; undefined = shared between principals, which only an operator may say. */
  readonly principalId: string | undefined;
  readonly tenant: string | undefined;
  readonly workspace: string | undefined;
  readonly server: string;
  readonly method: string;
  /** The tool, prompt or URI under the server's own name; undefined for lists. */
  readonly target: string | undefined;
  /** Entries of an older state are never found: a policy or server change takes effect at once. */
  readonly stateRevision: number;
  /** What else the reply depends on: era, scope, fingerprint of the client capabilities, cursor. */
  readonly variant: readonly string[];
  /** Source text of the arguments; undefined where there are none. */
  readonly argumentsText: string | undefined;
}

/** The identity's bytes; undefined where its arguments have no canonical form, so that it is not cacheable. */
export function encodeIdentity(identity: CacheIdentity): Buffer | undefined {
  const { argumentsText } = identity;
  const canonical = argumentsText === undefined ? undefined : canonicalJson(argumentsText);
  if (argumentsText !== undefined && canonical === undefined) return undefined;
  return encodeTuple([
    identity.principalId,
    identity.tenant,
    identity.workspace,
    identity.server,
    identity.method,
    identity.target,
    String(identity.stateRevision),
    canonical,
    ...identity.variant,
  ]);
}

/** Each part as its length and its text; an absent part differs from an empty one. */
export function encodeTuple(parts: readonly (string | undefined)[]): Buffer {
  const joined = parts.map((part) => (part === undefined ? "-;" : `${part.length}:${part};`));
  return Buffer.from(joined.join(""), "utf16le");
}
