/**
 * Where the text of a JWKS comes from: a URL, a file, or the URL that the issuer's own metadata names. `jwks.ts` decides
 * when it is asked for.
 */
import { open } from "node:fs/promises";
import type { Clock } from "../lib/clock.ts";
import { type Dial, type FetchLimits, fetchText } from "./fetch-text.ts";
import { isObject } from "./jwt-format.ts";

export interface JwksPlace extends FetchLimits {
  readonly dial: Dial;
  readonly allowPrivateNetwork?: boolean;
}

export function fetchJwks(url: string, { dial, ...more }: JwksPlace): Promise<string> {
  const accept = "application/jwk-set+json, application/json";
  return fetchText({ url, accept, ...more }, dial);
}

/** How long the address of the keys is believed before the metadata is read again. */
const discoveredMs = 3_600_000;

/**
 * Loads the keys from where the issuer's metadata says (OpenID Connect Discovery, then RFC 8414). Metadata of another
 * issuer is not believed, whoever served it.
 */
export function createDiscovery(
  issuer: string,
  clock: Clock,
  place: JwksPlace,
): () => Promise<string> {
  let known: { readonly url: string; readonly untilMs: number } | undefined;

  async function discover(): Promise<string> {
    const { dial, ...more } = place;
    let failure: unknown;
    for (const url of metadataUrls(issuer)) {
      try {
        const text = await fetchText({ url, accept: "application/json", ...more }, dial);
        return readJwksUrl(text, issuer);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  return async () => {
    if (known === undefined || clock.monotonicMs() >= known.untilMs) {
      known = { url: await discover(), untilMs: clock.monotonicMs() + discoveredMs };
    }
    try {
      return await fetchJwks(known.url, place);
    } catch (error) {
      // It may have moved.
      known = undefined;
      throw error;
    }
  };
}

/** The places of an issuer's metadata, in the order they are tried. */
export function metadataUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, "");
  return [
    `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
}

function readJwksUrl(text: string, issuer: string): string {
  const document: unknown = JSON.parse(text);
  if (!isObject(document)) throw new Error("the metadata is no object");
  if (document.issuer !== issuer) throw new Error("the metadata is of another issuer");
  const { jwks_uri: url } = document;
  if (typeof url !== "string" || !URL.canParse(url)) {
    throw new Error("the metadata names no jwks_uri");
  }
  return url;
}

export async function readJwksFile(
  path: string,
  { bytesMax = 256 * 1024 }: FetchLimits = {},
): Promise<string> {
  const file = await open(path, "r");
  try {
    if ((await file.stat()).size > bytesMax) throw new Error(`is larger than ${bytesMax} bytes`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}
