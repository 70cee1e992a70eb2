/**
 * What the development issuer adds to a configuration: an issuer that is believed, and a warning. Called by `load.ts`.
 */
import { join } from "node:path";
import { issuer } from "./issuer-section.ts";
import type { ConfigValues } from "./schema.ts";

/** It is believed like any other, with an issuer's defaults, once it is switched on. */
export function withDevIssuer(values: ConfigValues): ConfigValues {
  const { dev_issuer: own, jwt } = values.identity;
  if (!own.enabled) return values;
  const believed = issuer.parse({
    issuer: own.issuer,
    audiences: [own.audience],
    algorithms: ["ES256"],
    jwks_file: join(values.data_dir, "dev-issuer.jwks.json"),
  });
  const issuers = [...jwt.issuers, believed];
  return { ...values, identity: { ...values.identity, jwt: { ...jwt, issuers } } };
}

export function findDevIssuer({ identity }: ConfigValues): readonly string[] {
  if (!identity.dev_issuer.enabled) return [];
  return [
    "identity.dev_issuer is on: whoever reads the data folder can be anybody; for development",
  ];
}
