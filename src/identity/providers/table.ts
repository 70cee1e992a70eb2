/**
 * The identity providers we know, by the name an operator gives in `provider`. `config/schema.ts` offers the same names.
 */
import { auth0 } from "./auth0.ts";
import { cognito } from "./cognito.ts";
import { entra } from "./entra.ts";
import { google } from "./google.ts";
import { keycloak } from "./keycloak.ts";
import { okta } from "./okta.ts";
import type { Provider } from "./provider.ts";

export const providers: Readonly<Record<string, Provider>> = Object.freeze({
  keycloak,
  entra,
  okta,
  auth0,
  cognito,
  google,
});
