/**
 * The public keys of one issuer, kept fresh without ever asking more often than a cooldown allows. Keys are opaque
 * map entries by `kid`; which algorithm a key is used with comes from the issuer's configuration, not from the key.
 */
import { type CryptoKey, importJWK, type JWK } from "jose";
import type { Clock } from "../lib/clock.ts";
import { type JwtAlgorithm, keyTypeOf } from "./jwt-algorithms.ts";
import { isObject } from "./jwt-format.ts";

export interface JwksOptions {
  /** The JWKS document's text; rejects where it cannot be had. */
  readonly load: () => Promise<string>;
  readonly clock: Clock;
  /** How long a set is used without asking again. Default 1 h. */
  readonly freshMs?: number;
  /** How much longer it is used while asking fails. Default 1 h. */
  readonly staleMs?: number;
  /** Shortest time between two loads, failed ones included. Default 30 s. */
  readonly cooldownMs?: number;
  readonly keysMax?: number;
  /** Told why a load failed; at most once in a cooldown. */
  readonly onFailure?: (why: string) => void;
}

export interface FoundKey {
  readonly key: CryptoKey;
  /** Which key it was, to ask later whether it is still trusted. */
  readonly name: string;
}

export interface Jwks {
  /** The one key for this id and algorithm; undefined where there is none, or more than one. */
  find(keyId: string | undefined, algorithm: JwtAlgorithm): Promise<FoundKey | undefined>;
  /** Whether a key found before is still in the set. Starts a refresh when the set is no longer fresh. */
  holds(name: string): boolean;
}

interface KeySet {
  readonly keys: readonly { readonly jwk: JWK; readonly name: string }[];
  readonly names: ReadonlySet<string>;
  readonly imported: Map<string, Promise<CryptoKey | undefined>>;
  readonly loadedAtMs: number;
}

export function createJwks(options: JwksOptions): Jwks {
  const { load, clock, freshMs = 3_600_000, staleMs = 3_600_000, cooldownMs = 30_000 } = options;
  const keysMax = options.keysMax ?? 64;
  let set: KeySet | undefined;
  let lastLoadMs = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | undefined;

  async function reload(): Promise<void> {
    try {
      set = parseKeySet(await load(), keysMax, clock.monotonicMs());
    } catch (error) {
      // The set in hand stays in use until it is stale; the next load waits for the cooldown.
      options.onFailure?.(error instanceof Error ? error.message : String(error));
    } finally {
      loading = undefined;
    }
  }

  /** Joins a load under way, or starts one where the cooldown has passed. */
  function refresh(): Promise<void> {
    if (loading !== undefined) return loading;
    if (clock.monotonicMs() - lastLoadMs < cooldownMs) return Promise.resolve();
    lastLoadMs = clock.monotonicMs();
    loading = reload();
    return loading;
  }

  function usable(): KeySet | undefined {
    const age = set === undefined ? Number.POSITIVE_INFINITY : clock.monotonicMs() - set.loadedAtMs;
    if (age >= freshMs) void refresh();
    return age < freshMs + staleMs ? set : undefined;
  }

  return {
    async find(keyId, algorithm) {
      const found = await pickKey(usable(), keyId, algorithm);
      if (found !== undefined) return found;
      await refresh();
      return pickKey(usable(), keyId, algorithm);
    },
    holds: (name) => usable()?.names.has(name) ?? false,
  };
}

function parseKeySet(text: string, keysMax: number, loadedAtMs: number): KeySet {
  const document: unknown = JSON.parse(text);
  if (!isObject(document) || !Array.isArray(document.keys) || document.keys.length > keysMax) {
    throw new Error(`not a JWKS of at most ${keysMax} keys`);
  }
  const keys = document.keys.filter(isVerificationKey).map((jwk) => ({ jwk, name: nameOf(jwk) }));
  const names = new Set(keys.map((key) => key.name));
  return { keys, names, imported: new Map(), loadedAtMs };
}

/** Public signature keys only: a symmetric key in a public document is no secret. */
function isVerificationKey(value: unknown): value is JWK {
  if (!isObject(value) || typeof value.kty !== "string" || value.kty === "oct") return false;
  if (value.use !== undefined && value.use !== "sig") return false;
  return value.key_ops === undefined || asArray(value.key_ops).includes("verify");
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A key's identity is its public material, so a new key under an old `kid` is another key. */
function nameOf(jwk: JWK): string {
  return JSON.stringify([jwk.kid, jwk.kty, jwk.crv, jwk.n, jwk.e, jwk.x, jwk.y]);
}

async function pickKey(
  set: KeySet | undefined,
  keyId: string | undefined,
  algorithm: JwtAlgorithm,
): Promise<FoundKey | undefined> {
  if (set === undefined) return undefined;
  const named = keyId === undefined ? set.keys : set.keys.filter(({ jwk }) => jwk.kid === keyId);
  const fitting = named.filter(
    ({ jwk }) =>
      jwk.kty === keyTypeOf(algorithm) && (jwk.alg === undefined || jwk.alg === algorithm),
  );
  const [only] = fitting;
  // Two candidates are ambiguous: trying each in turn would let whoever adds a key choose.
  if (only === undefined || fitting.length > 1) return undefined;
  const memo = `${algorithm} ${only.name}`;
  const importing = set.imported.get(memo) ?? importKey(only.jwk, algorithm);
  set.imported.set(memo, importing);
  const key = await importing;
  return key === undefined ? undefined : { key, name: only.name };
}

async function importKey(jwk: JWK, algorithm: JwtAlgorithm): Promise<CryptoKey | undefined> {
  try {
    const { kty, crv, n, e, x, y } = jwk;
    const publicPart = Object.entries({ kty, crv, n, e, x, y }).filter(([, v]) => v !== undefined);
    const key = await importJWK(Object.fromEntries(publicPart) as JWK, algorithm);
    return key instanceof Uint8Array ? undefined : key;
  } catch {
    return undefined;
  }
}
