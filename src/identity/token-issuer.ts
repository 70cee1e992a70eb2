/**
 * One believed issuer at work: its keys and its introspection, made from the checked configuration. `jwt.ts` asks it
 * whether a signature holds and whether the issuer still stands by a token.
 */
import { compactVerify } from "jose";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Dial } from "./fetch-text.ts";
import { createIntrospection, type Introspection } from "./introspection.ts";
import { createIntrospectionClient } from "./introspection-client.ts";
import { createJwks, type Jwks } from "./jwks.ts";
import { createDiscovery, fetchJwks, readJwksFile } from "./jwks-source.ts";
import type { JwtAlgorithm } from "./jwt-algorithms.ts";
import type { CheckedIssuer } from "./jwt-issuer.ts";

export interface TokenIssuerDeps {
  readonly dial: Dial;
  readonly clock: Clock;
  readonly log: Pick<Log, "warn">;
  /** How long JWKS are used before asking again; files are read again after at most a minute. */
  readonly jwksFreshMs?: number;
  readonly jwksStaleMs?: number;
  readonly jwksCooldownMs?: number;
}

export interface TokenIssuer {
  readonly checked: CheckedIssuer;
  readonly jwks: Jwks | undefined;
  readonly introspection: Introspection | undefined;
}

export function createTokenIssuer(checked: CheckedIssuer, deps: TokenIssuerDeps): TokenIssuer {
  return {
    checked,
    jwks: createIssuerJwks(checked, deps),
    introspection: createIssuerIntrospection(checked, deps),
  };
}

/** The name of the key the signature holds under (undefined for a shared secret), or why it does not. */
export async function checkSignature(
  token: string,
  { checked, jwks }: TokenIssuer,
  keyId: string | undefined,
  algorithm: JwtAlgorithm,
): Promise<"jwt-key-unknown" | "jwt-signature" | { readonly name: string | undefined }> {
  const found =
    checked.keys.kind === "secret"
      ? { key: checked.keys.secret, name: undefined }
      : await jwks?.find(keyId, algorithm);
  if (found === undefined) return "jwt-key-unknown";
  try {
    await compactVerify(token, found.key, { algorithms: [algorithm] });
    return { name: found.name };
  } catch {
    return "jwt-signature";
  }
}

function createIssuerJwks(issuer: CheckedIssuer, deps: TokenIssuerDeps): Jwks | undefined {
  const place = issuer.keys;
  const { clock, jwksFreshMs = 3_600_000, jwksStaleMs = 3_600_000, jwksCooldownMs = 30_000 } = deps;
  const common = {
    clock,
    staleMs: jwksStaleMs,
    cooldownMs: jwksCooldownMs,
    onFailure: (why: string) =>
      deps.log.warn("jwks.fetch_failed", { issuer: issuer.issuer, cause: why }),
  };
  const from = { dial: deps.dial, allowPrivateNetwork: issuer.allowPrivateNetwork };
  switch (place.kind) {
    case "secret":
    case "none":
      return undefined;
    case "url":
      return createJwks({
        ...common,
        freshMs: jwksFreshMs,
        load: () => fetchJwks(place.url, from),
      });
    case "discovery": {
      const load = createDiscovery(place.issuer, clock, from);
      return createJwks({ ...common, freshMs: jwksFreshMs, load });
    }
    case "file": {
      // Reading a file is cheap, and an operator who edits it expects to see the effect.
      const freshMs = Math.min(jwksFreshMs, 60_000);
      return createJwks({ ...common, freshMs, load: () => readJwksFile(place.path) });
    }
    default:
      return place satisfies never;
  }
}

function createIssuerIntrospection(
  issuer: CheckedIssuer,
  deps: TokenIssuerDeps,
): Introspection | undefined {
  const { introspection: config, allowPrivateNetwork } = issuer;
  if (config === undefined) return undefined;
  const { dial, clock, log } = deps;
  const client = createIntrospectionClient({
    config,
    issuer: issuer.issuer,
    dial,
    allowPrivateNetwork,
    clock,
  });
  return createIntrospection({
    client,
    clock,
    rememberMs: (config.rememberSeconds ?? 30) * 1000,
    onFailure: (why) => log.warn("introspection.failed", { issuer: issuer.issuer, cause: why }),
  });
}
