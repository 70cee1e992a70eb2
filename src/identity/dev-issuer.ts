/**
 * A token issuer of our own for development (A12, J12): mints what an identity provider would, for whoever may read
 * the data folder or holds the issuer's token. Its key is made at the first start and lies in the data folder; the
 * gateway believes it like any other issuer. The configuration refuses it under every strict preset.
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  SignJWT,
} from "jose";
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { randomSecret } from "../lib/id.ts";

/** What a token is to say. */
export interface DevTokenRequest {
  readonly userId: string;
  readonly roles: readonly string[];
  readonly workspace: string | undefined;
  readonly apiVersion: string | undefined;
  /** Undefined = as long as configured. */
  readonly expiresInSeconds: number | undefined;
}

export interface DevIssuer {
  /** For `X-Issuer-Token`. */
  readonly issuerToken: string;
  readonly jwks: { readonly keys: readonly JWK[] };
  mint(
    request: DevTokenRequest,
  ): Promise<{ readonly token: string; readonly expiresInSeconds: number }>;
}

export interface DevIssuerSettings {
  readonly dataDir: string;
  /** The `iss` and `aud` of its tokens. */
  readonly issuer: string;
  readonly audience: string;
  readonly tokenMinutes: number;
  readonly clock: Pick<Clock, "nowMs">;
}

const ownerOnly = 0o600;
const algorithm = "ES256";

/** Reads the key and the token from the data folder, or makes them there. */
export async function openDevIssuer(settings: DevIssuerSettings): Promise<DevIssuer> {
  const { dataDir, issuer, audience, clock } = settings;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const jwk: JWK = JSON.parse(await readOrMake(join(dataDir, "dev-issuer.key.json"), makeKey));
  const issuerToken = await readOrMake(join(dataDir, "dev-issuer.token"), async () =>
    randomSecret(),
  );
  const { d: _, ...publicJwk } = jwk;
  const key = await importJWK(jwk, algorithm);
  const jwks = { keys: [publicJwk] };
  await writeFile(join(dataDir, "dev-issuer.jwks.json"), JSON.stringify(jwks));
  return {
    issuerToken: issuerToken.trim(),
    jwks,
    async mint(request) {
      const expiresInSeconds = request.expiresInSeconds ?? settings.tokenMinutes * 60;
      const nowSeconds = Math.floor(clock.nowMs() / 1000);
      const claims = {
        iss: issuer,
        aud: audience,
        sub: request.userId,
        iat: nowSeconds,
        exp: nowSeconds + expiresInSeconds,
        jti: randomSecret(16),
        roles: request.roles,
        ...(request.workspace === undefined ? {} : { workspace: request.workspace }),
        ...(request.apiVersion === undefined ? {} : { api_version: request.apiVersion }),
      };
      const header = { alg: algorithm, kid: publicJwk.kid ?? "", typ: "JWT" };
      const token = await new SignJWT(claims).setProtectedHeader(header).sign(key);
      return { token, expiresInSeconds };
    },
  };
}

async function makeKey(): Promise<string> {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint(jwk);
  return JSON.stringify({ ...jwk, kid, alg: algorithm, use: "sig" });
}

/** Written whole under another name first, so that two who start at once agree. */
async function readOrMake(path: string, make: () => Promise<string>): Promise<string> {
  const known = await readOwn(path);
  if (known !== undefined) return known;
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  await writeFile(draft, await make(), { mode: ownerOnly, flag: "wx" });
  try {
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  } finally {
    await unlink(draft);
  }
  return (await readOwn(path)) ?? "";
}

async function readOwn(path: string): Promise<string | undefined> {
  try {
    const mode = (await stat(path)).mode & 0o777;
    if (mode !== ownerOnly) {
      throw new GatewayError("internal", `${path} has mode ${mode.toString(8)}; it must be 600`);
    }
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
