/**
 * Auth0. Its issuer ends in a slash. Own claims must have a namespace (`https://app.example/roles`), which only the
 * operator knows; `permissions` is what its role-based access control puts into a token by itself.
 */
import type { Provider } from "./provider.ts";

export const auth0: Provider = {
  issuerForm: /^(https:\/\/[^/?#]+\/)$/,
  issuerExample: "https://example.eu.auth0.com/",
  keysUrl: "$1.well-known/jwks.json",
  algorithms: ["RS256"],
  claims: { roles: "permissions" },
};
