/**
 * Who is calling. Built by `authenticator.ts` from a verified credential, read by every later stage.
 */
export interface Principal {
  readonly kind: "client" | "user" | "anonymous";
  /** Stable and unique: `client:<client id>`, `user:<issuer>#<subject>`, or `anonymous`. */
  readonly id: string;
  /** The registered client, for client tokens; the `azp`/`client_id` claim for a JWT, where present. */
  readonly clientId: string | undefined;
  readonly subject: string | undefined;
  readonly issuer: string | undefined;
  readonly tenant: string | undefined;
  /** A part of the tenant, by the token's own claim. */
  readonly workspace: string | undefined;
  /** Role names from the token and from the client's registration; bindings add more at decision time. */
  readonly roles: readonly string[];
  readonly groups: readonly string[];
  /** OAuth scopes of the token; undefined where the credential knows none (client tokens): then no scope is missing. */
  readonly scopes: readonly string[] | undefined;
  /** How and when the user proved who they are: `acr`, `amr` and `auth_time` of the token. */
  readonly acr: string | undefined;
  readonly amr: readonly string[];
  readonly authenticatedAtMs: number | undefined;
  /** The verified payload, for conditions of policy alone; never recorded, never forwarded. */
  readonly claims: Readonly<Record<string, unknown>> | undefined;
  /** When the credential stops being valid, wall-clock ms; undefined = it does not expire. */
  readonly expiresAtMs: number | undefined;
  /** Keyed hash of the credential (hex): binds sessions to it and finds it again on revocation. */
  readonly credentialDigest: string;
}

/** What a binding read off the wire; never logged, never forwarded. */
export type Credential =
  | { readonly kind: "none" }
  /** `scheme`: how the token was presented; `dpop` promises a proof (RFC 9449). */
  | { readonly kind: "bearer"; readonly token: string; readonly scheme?: "dpop" }
  /** No token, but a certificate that the caller's end of the connection holds the key of (DER). */
  | { readonly kind: "certificate"; readonly certificate: Uint8Array }
  /** More than one credential, a wrong scheme, a token in the query: refused without looking further. */
  | { readonly kind: "unusable"; readonly reason: string };

/**
 * What came with a request beside its credential, by which a caller proves that the credential is its own. Most
 * requests bring nothing of the kind, and then there is none. Lives as long as what the request opened.
 */
export interface Evidence {
  readonly method: string;
  /** As the agent addressed it, `http` or `https`: authority, path and query. */
  readonly url: string;
  /** A repeated header reads as its lines joined by a comma. */
  readonly headers: { get(name: string): string | null };
  /** DER; held against the configured authority by our listener, or by a trusted proxy that passed it on. */
  readonly certificate: Uint8Array | undefined;
  /** What was sent, once it has been read; undefined until then, and where there is none. */
  body: Uint8Array | undefined;
}
