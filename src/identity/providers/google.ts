/**
 * Google. Its access tokens are opaque and without introspection, so what agents present is an ID token. Everybody with
 * a Google account can have one for an application open to the public: the Workspace domains must be named.
 */
import type { Provider } from "./provider.ts";

export const google: Provider = {
  issuerForm: /^https:\/\/accounts\.google\.com$/,
  issuerExample: "https://accounts.google.com",
  keysUrl: "https://www.googleapis.com/oauth2/v3/certs",
  algorithms: ["RS256"],
  issuerAliases: ["accounts.google.com"],
  claims: {},
  mustRestrict: {
    claim: "hd",
    because: "Google vouches for everybody with an account; name your Workspace domains",
  },
};
