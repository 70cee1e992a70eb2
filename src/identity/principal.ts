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
  | { readonly kind: "bearer"; readonly token: string }
  /** More than one credential, a wrong scheme, a token in the query: refused without looking further. */
  | { readonly kind: "unusable"; readonly reason: string };
