/**
 * What the data plane needs of the configured issuers: a verifier, which of them agents are told of, and how they are
 * dialled.
 */
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/problem.ts";
import { isLoopback } from "../config/risks.ts";
import { GatewayError } from "../errors/fault.ts";
import type { Dial } from "../identity/fetch-text.ts";
import { createJwtVerifier, type JwtVerifier } from "../identity/jwt.ts";
import { checkIssuer } from "../identity/jwt-issuer.ts";
import { createLogins as createIssuerLogins, type Logins } from "../identity/login.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { createEgressFetch } from "../servers/egress-fetch.ts";
import { type Log, silentLog } from "../telemetry/log.ts";
import { toIssuers, toLoginIssuers } from "./options.ts";

/** What it takes to ask issuers. */
export interface IssuerDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
}

/** A key withdrawn by its issuer stops working within a minute (AN-14): this, a beat, and the time of one fetch. */
const jwksFreshMs = 45_000;

/** Issuers are asked only where servers may be. */
const fetchPublic = createEgressFetch(false);
const fetchAnywhere = createEgressFetch(true);

/** Undefined where no issuer is configured. Throws ConfigError where one of them makes no sense. */
export function createVerifier({ config, clock, log }: IssuerDeps): JwtVerifier | undefined {
  const issuers = toIssuers(config.identity.jwt.issuers);
  if (issuers.length === 0) return undefined;
  try {
    return createJwtVerifier({
      issuers,
      dial: dialFor(config),
      publicUrl: config.agents.publicUrl,
      jwksFreshMs,
      clock,
      log,
    });
  } catch (error) {
    throw asConfigError(error);
  }
}

/** For those issuers whose users may log in with a browser. Throws ConfigError where that makes no sense. */
export function createLogins({ config, clock, log }: IssuerDeps): Logins {
  try {
    const issuers = toLoginIssuers(config.identity.jwt.issuers);
    return createIssuerLogins({ issuers, dial: dialFor(config), clock, log });
  } catch (error) {
    throw asConfigError(error);
  }
}

/**
 * Where users' browsers find the consent pages; undefined where no login is configured. Throws ConfigError where they
 * would not be safe there.
 */
export function consentUrl({ agents, identity }: Config): URL | undefined {
  if (!identity.jwt.issuers.some(({ login }) => login !== undefined)) return undefined;
  const refuse = (message: string): never => {
    throw new ConfigError([{ where: "agents.public_url", message }]);
  };
  // The Host header would otherwise say where users are sent, and the caller writes it.
  if (agents.publicUrl === undefined) return refuse("a login of users needs it");
  const url = new URL(agents.publicUrl);
  if (url.pathname !== "/" || url.search !== "") refuse("a login of users needs it without a path");
  const isLocal = agents.insecureCookies && isLoopback(url.hostname);
  if (url.protocol === "https:" || isLocal) return url;
  return refuse(
    "a login of users needs https; on loopback alone, agents.insecure_cookies: true does without",
  );
}

function dialFor({ servers }: Config): Dial {
  return (url, request, isPrivateAllowed) =>
    isPrivateAllowed || servers.allowPrivateNetwork
      ? fetchAnywhere(url, request)
      : fetchPublic(url, request);
}

function asConfigError(error: unknown): unknown {
  if (!(error instanceof GatewayError)) return error;
  return new ConfigError([{ where: "identity.jwt.issuers", message: error.fault.message }]);
}

/** Refuses, as `createVerifier` would, before anything is made or asked. */
export function checkIssuers(config: Config): void {
  const deps = { config, clock: systemClock, log: silentLog };
  createVerifier(deps);
  createLogins(deps);
  consentUrl(config);
}

/** As their tokens say it in `iss`. */
export function issuerNames({ identity, agents }: Config): readonly string[] {
  return toIssuers(identity.jwt.issuers).map((one) => checkIssuer(one, agents.publicUrl).issuer);
}
