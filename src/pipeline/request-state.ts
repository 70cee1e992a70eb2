/**
 * The gateway's seal around a server's `requestState` (reference section 4.5, AZ-09). A server binds its state to who
 * calls it, and to a server that is the gateway: only this seal keeps one agent from bringing another's. It is opened
 * for the same principal, target and params alone, before it expires. No state is kept here: every node with the same
 * token key opens what any of them sealed.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";
import { encodeTuple } from "../cache/cache-key.ts";
import type { Clock } from "../lib/clock.ts";

/** The call that a state belongs to. */
export interface StateOwner {
  readonly tenant: string | undefined;
  readonly principalId: string;
  readonly server: string;
  readonly method: string;
  /** The tool, prompt or URI under the server's own name. */
  readonly target: string;
  /** Canonical text of the params, without what differs from round to round. */
  readonly paramsText: string;
}

export type OpenedState =
  /** Source text of the server's own value, and how many questions the call has led to so far. */
  | { readonly stateText: string; readonly round: number }
  /** Why not, for the record only. */
  | { readonly reason: string };

export interface RequestStates {
  /** `stateText` is source text of a JSON string; undefined where it is too long to be carried. */
  seal(owner: StateOwner, stateText: string, round: number): string | undefined;
  open(owner: StateOwner, sealed: string): OpenedState;
}

/** Largest value taken from a server, in bytes of UTF-8: it travels twice for each round. */
export const stateBytesMax = 65_536;

const version = 1;
const nonceStart = 1;
const nonceBytes = 12;
const headerBytes = nonceStart + nonceBytes;
const tagBytes = 16;
const digestBytes = 32;
/** Inside: expiry, round, then a digest each of the principal, the target and the params. */
const roundAt = 8;
const digestsAt = roundAt + 1;
const stateAt = digestsAt + 3 * digestBytes;
const sealedCharsMax = Math.ceil(((headerBytes + stateAt + stateBytesMax + tagBytes) * 4) / 3);
const mismatches = ["state-principal", "state-target", "state-params"] as const;

export function createRequestStates(options: {
  /** The key that nodes of one database share. */
  readonly tokenKey: Buffer;
  readonly lifetimeMs: number;
  readonly clock: Clock;
}): RequestStates {
  const { tokenKey, lifetimeMs, clock } = options;
  const purpose = `mcp-gateway request state, version ${version}`;
  const key = Buffer.from(hkdfSync("sha256", tokenKey, "", purpose, 32));

  return {
    seal(owner, stateText, round) {
      const state = Buffer.from(stateText);
      if (state.length > stateBytesMax) return undefined;
      const facts = Buffer.alloc(digestsAt);
      facts.writeBigUInt64BE(BigInt(clock.nowMs() + lifetimeMs));
      facts.writeUInt8(round, roundAt);
      // Random nonces: nodes share the key and know nothing of each other's count. 2^32 seals are far away.
      const header = Buffer.concat([Buffer.of(version), randomBytes(nonceBytes)]);
      const cipher = createCipheriv("aes-256-gcm", key, header.subarray(nonceStart));
      cipher.setAAD(header);
      const plain = Buffer.concat([facts, ...digestsOf(owner), state]);
      const parts = [header, cipher.update(plain), cipher.final(), cipher.getAuthTag()];
      return Buffer.concat(parts).toString("base64url");
    },
    open(owner, sealed) {
      const plain = decrypt(key, sealed);
      if (plain === undefined) return { reason: "state-forged" };
      if (plain.readBigUInt64BE() <= clock.nowMs()) return { reason: "state-expired" };
      const wrong = digestsOf(owner).findIndex((digest, index) => {
        const at = digestsAt + index * digestBytes;
        return !timingSafeEqual(digest, plain.subarray(at, at + digestBytes));
      });
      const reason = mismatches[wrong];
      if (reason !== undefined) return { reason };
      return { stateText: plain.toString("utf8", stateAt), round: plain.readUInt8(roundAt) };
    },
  };
}

/** Undefined where the text was changed, cut, spelled differently or sealed under another key. */
function decrypt(key: Buffer, sealed: string): Buffer | undefined {
  if (sealed.length > sealedCharsMax) return undefined;
  const bytes = Buffer.from(sealed, "base64url");
  // The decoder forgives stray characters and spare bits; one state has one spelling.
  if (bytes.length < headerBytes + stateAt + tagBytes || bytes[0] !== version) return undefined;
  if (bytes.toString("base64url") !== sealed) return undefined;
  const header = bytes.subarray(0, headerBytes);
  const decipher = createDecipheriv("aes-256-gcm", key, header.subarray(nonceStart), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(header);
  decipher.setAuthTag(bytes.subarray(-tagBytes));
  try {
    const plain = decipher.update(bytes.subarray(headerBytes, -tagBytes));
    return Buffer.concat([plain, decipher.final()]);
  } catch {
    return undefined;
  }
}

/** In the order of `mismatches`. */
function digestsOf(owner: StateOwner): readonly Buffer[] {
  return [
    digest(owner.tenant, owner.principalId),
    digest(owner.server, owner.method, owner.target),
    digest(owner.paramsText),
  ];
}

function digest(...parts: readonly (string | undefined)[]): Buffer {
  return createHash("sha256").update(encodeTuple(parts)).digest();
}
