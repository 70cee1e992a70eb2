/**
 * Microsoft Entra ID. Tokens of version 2 and of version 1 name different issuers for one tenant, with one set of keys.
 * `sub` differs for each application, so the caller is named by `oid`, which also works for applications themselves.
 */
import { isObject } from "../jwt-format.ts";
import type { Provider } from "./provider.ts";

export const entra: Provider = {
  issuerForm:
    /^https:\/\/(?:login\.microsoftonline\.com\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/v2\.0|sts\.windows\.net\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/)$/,
  issuerExample: "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0",
  keysUrl: "https://login.microsoftonline.com/$1$2/discovery/v2.0/keys",
  algorithms: ["RS256"],
  claims: { subject: "oid", scopes: ["scp"], clientId: ["azp", "appid"] },
  // Above 200 groups the token names a place to ask instead (150 in SAML, 6 in the implicit flow: `hasgroups`).
  groupsAreElsewhere: (payload) =>
    payload.hasgroups === true ||
    (isObject(payload._claim_names) && Object.hasOwn(payload._claim_names, "groups")),
};
