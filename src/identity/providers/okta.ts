/**
 * Okta, custom authorization servers (`/oauth2/default` and others). Tokens of the org server itself are opaque to
 * everybody but Okta, so its issuer is not of this form. `groups` is there where a claim was configured for it.
 */
import type { Provider } from "./provider.ts";

export const okta: Provider = {
  issuerForm: /^(https:\/\/[^/?#]+\/oauth2\/[A-Za-z0-9]+)$/,
  issuerExample: "https://example.okta.com/oauth2/default",
  keysUrl: "$1/v1/keys",
  algorithms: ["RS256"],
  claims: { scopes: ["scp"], clientId: ["cid"] },
};
