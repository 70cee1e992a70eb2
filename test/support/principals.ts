/** Principals as the authenticator makes them, for tests that have no credentials. */
import type { Principal } from "../../src/identity/principal.ts";

const nobody: Principal = {
  kind: "anonymous",
  id: "anonymous",
  clientId: undefined,
  subject: undefined,
  issuer: undefined,
  tenant: undefined,
  workspace: undefined,
  roles: [],
  groups: [],
  scopes: undefined,
  acr: undefined,
  amr: [],
  authenticatedAtMs: undefined,
  claims: undefined,
  expiresAtMs: undefined,
  credentialDigest: "d",
};

/** By a client token. */
export function clientPrincipal(id: string, more: Partial<Principal> = {}): Principal {
  return { ...nobody, kind: "client", id: `client:${id}`, clientId: id, ...more };
}

/** By a JWT of `https://idp.example`. */
export function userPrincipal(subject: string, more: Partial<Principal> = {}): Principal {
  const issuer = "https://idp.example";
  const own = {
    kind: "user",
    id: `user:${issuer}#${subject}`,
    subject,
    issuer,
    scopes: [],
  } as const;
  return { ...nobody, ...own, ...more };
}
