/**
 * Amazon Cognito user pools. Access tokens have no `aud` unless a resource was asked for: the app client they are for is
 * in `client_id`. ID tokens are told apart by `token_use`.
 */
import type { Provider } from "./provider.ts";

export const cognito: Provider = {
  issuerForm:
    /^(https:\/\/cognito-idp\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?\/[a-z0-9-]+_[A-Za-z0-9]+)$/,
  issuerExample: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
  keysUrl: "$1/.well-known/jwks.json",
  algorithms: ["RS256"],
  claims: {
    roles: "cognito:groups",
    groups: "cognito:groups",
    clientId: ["client_id"],
    audience: ["aud", "client_id"],
  },
  requiredClaims: [{ claim: "token_use", values: ["access"] }],
};
