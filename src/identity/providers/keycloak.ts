/**
 * Keycloak. The realm is the issuer. Access, ID and refresh tokens are all JWTs of one issuer, told apart by the claim
 * `typ` in the payload.
 */
import type { Provider } from "./provider.ts";

export const keycloak: Provider = {
  issuerForm: /^(https?:\/\/[^?#]+\/realms\/[^/?#]+)$/,
  issuerExample: "https://sso.example/realms/main",
  keysUrl: "$1/protocol/openid-connect/certs",
  algorithms: ["RS256"],
  claims: { roles: "realm_access.roles" },
  requiredClaims: [{ claim: "typ", values: ["Bearer"] }],
};
