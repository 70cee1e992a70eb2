/**
 * Decides which operator a token or a client certificate belongs to. Holds digests only; the bootstrap
 * administrator's token is made at the first start and written to `<dataDir>/admin.token`, readable by its owner alone.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { randomSecret } from "../lib/id.ts";
import type { Operator, OperatorRole } from "./caller.ts";

export interface OperatorEntry {
  readonly name: string;
  readonly roles: readonly OperatorRole[];
  readonly tenant?: string | undefined;
  /** Hex SHA-256 of the token. Tokens have 256 random bits, so a plain digest cannot be searched. */
  readonly tokenSha256?: string | undefined;
  readonly certificateCommonName?: string | undefined;
}

/** What came with an RPC. `certificateCommonName` is from a certificate that TLS has verified. */
export interface OperatorCredential {
  readonly token: string | undefined;
  readonly certificateCommonName: string | undefined;
}

export interface Operators {
  /** A wrong token is refused even where the certificate alone would do. */
  authenticate(credential: OperatorCredential): Operator | undefined;
  /** Where the bootstrap administrator's token lies. */
  readonly tokenPath: string;
}

export const bootstrapOperatorName = "bootstrap";
const tokenPrefix = "mcpgw_admin_";
const tokenLengthMax = 512;

export function createOperators(options: {
  readonly dataDir: string;
  readonly operators: readonly OperatorEntry[];
  /** What the bootstrap administrator may do; `admin` alone unless told. */
  readonly bootstrapRoles?: readonly OperatorRole[];
}): Operators {
  const tokenPath = join(options.dataDir, "admin.token");
  const bootstrap: OperatorEntry = {
    name: bootstrapOperatorName,
    roles: options.bootstrapRoles ?? ["admin"],
    tokenSha256: sha256(loadOrCreateToken(options.dataDir, tokenPath)).toString("hex"),
  };
  const entries = [bootstrap, ...options.operators].map(prepareEntry);
  return {
    tokenPath,
    authenticate({ token, certificateCommonName }) {
      if (token !== undefined) return findByToken(entries, token);
      if (certificateCommonName === undefined) return undefined;
      return entries.find((entry) => entry.commonName === certificateCommonName)?.operator;
    },
  };
}

interface PreparedEntry {
  readonly operator: Operator;
  readonly digest: Buffer | undefined;
  readonly commonName: string | undefined;
}

function prepareEntry(entry: OperatorEntry): PreparedEntry {
  return {
    operator: Object.freeze({
      name: entry.name,
      roles: Object.freeze([...entry.roles]),
      tenant: entry.tenant,
    }),
    digest: entry.tokenSha256 === undefined ? undefined : Buffer.from(entry.tokenSha256, "hex"),
    commonName: entry.certificateCommonName === "" ? undefined : entry.certificateCommonName,
  };
}

/** Compares with every entry, each in constant time, so timing tells nothing about which one is near. */
function findByToken(entries: readonly PreparedEntry[], token: string): Operator | undefined {
  if (token.length > tokenLengthMax) return undefined;
  const digest = sha256(token);
  let found: Operator | undefined;
  for (const entry of entries) {
    if (entry.digest?.length !== digest.length) continue;
    if (timingSafeEqual(entry.digest, digest)) found = entry.operator;
  }
  return found;
}

/** `wx` creates or fails, so two processes starting at once agree on whichever token was written first. */
function loadOrCreateToken(dataDir: string, path: string): string {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  try {
    const file = openSync(path, "wx", 0o600);
    const token = `${tokenPrefix}${randomSecret()}`;
    fchmodSync(file, 0o600);
    writeSync(file, `${token}\n`);
    fsyncSync(file);
    closeSync(file);
    return token;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  const token = readFileSync(path, "utf8").trim();
  if (token.length < 32)
    throw new Error(`${path} holds no usable token; delete it to make a new one`);
  return token;
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text, "utf8").digest();
}
