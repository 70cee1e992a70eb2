/**
 * Fetches the text of a JWKS from a URL or a file, within a time and a size. `jwks.ts` decides when; whether the
 * address may be dialled at all is the injected egress check's word.
 */
import { open } from "node:fs/promises";

export interface JwksSourceLimits {
  readonly timeoutMs?: number;
  readonly bytesMax?: number;
}

/** The egress check: may the gateway dial this URL? */
export type AllowUrl = (url: string) => boolean | Promise<boolean>;

/** GETs the document: no redirects, 200 only, body bounded while it streams. */
export async function fetchJwks(
  url: string,
  allowUrl: AllowUrl,
  { timeoutMs = 5_000, bytesMax = 256 * 1024 }: JwksSourceLimits = {},
): Promise<string> {
  if (!(await allowUrl(url))) throw new Error("the egress rules do not allow this address");
  const response = await fetch(url, {
    redirect: "manual",
    headers: {
      accept: "application/jwk-set+json, application/json",
      "accept-encoding": "identity",
    },
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw new Error(`answered with status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.byteLength;
    if (size > bytesMax) throw new Error(`answered with more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

export async function readJwksFile(
  path: string,
  { bytesMax = 256 * 1024 }: JwksSourceLimits = {},
): Promise<string> {
  const file = await open(path, "r");
  try {
    if ((await file.stat()).size > bytesMax) throw new Error(`is larger than ${bytesMax} bytes`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}
