/**
 * What the data plane needs of the configured issuers: a verifier, which of them agents are told of, and how they are
 * dialled.
 */
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/problem.ts";
import { GatewayError } from "../errors/fault.ts";
import { createJwtVerifier, type JwtVerifier } from "../identity/jwt.ts";
import { checkIssuer } from "../identity/jwt-issuer.ts";
import { systemClock } from "../lib/clock.ts";
import { createEgressFetch } from "../servers/egress-fetch.ts";
import { silentLog } from "../telemetry/log.ts";
import { toIssuers } from "./options.ts";
import type { Parts } from "./parts.ts";

/** A key withdrawn by its issuer stops working within a minute (AN-14): this, a beat, and the time of one fetch. */
const jwksFreshMs = 45_000;

/** Issuers are asked only where servers may be. */
const fetchPublic = createEgressFetch(false);
const fetchAnywhere = createEgressFetch(true);

/** Undefined where no issuer is configured. Throws ConfigError where one of them makes no sense. */
export function createVerifier(
  parts: Pick<Parts, "config" | "clock" | "log">,
): JwtVerifier | undefined {
  const { config, clock, log } = parts;
  const issuers = toIssuers(config.identity.jwt.issuers);
  if (issuers.length === 0) return undefined;
  try {
    return createJwtVerifier({
      issuers,
      dial: (url, request, isPrivateAllowed) =>
        isPrivateAllowed || config.servers.allowPrivateNetwork
          ? fetchAnywhere(url, request)
          : fetchPublic(url, request),
      publicUrl: config.agents.publicUrl,
      jwksFreshMs,
      clock,
      log,
    });
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    throw new ConfigError([{ where: "identity.jwt.issuers", message: error.fault.message }]);
  }
}

/** Refuses, as `createVerifier` would, before anything is made or asked. */
export function checkIssuers(config: Config): void {
  createVerifier({ config, clock: systemClock, log: silentLog });
}

/** As their tokens say it in `iss`. */
export function issuerNames({ identity, agents }: Config): readonly string[] {
  return toIssuers(identity.jwt.issuers).map((one) => checkIssuer(one, agents.publicUrl).issuer);
}
