/**
 * Seals records on the spool's thread: holds the pairs of keys and the index key that the calling thread hands over,
 * and makes commitment, tokens and sealed part of each record. A record whose pair is not there is an error, never
 * written in clear.
 */
import type { IndexKey, SealingPair } from "../vault/keys.ts";
import { commitFields, emptyCommitment, type Fields, randomBytesPerRecord } from "./commitment.ts";
import { emptyPart, saltBytes, sealPart, type TokenMember, tokenMembers } from "./sealing.ts";
import { renderToken } from "./tokens.ts";

/** Fresh bytes each record takes: the fields' random and the salt of its key. */
export const freshBytesPerRecord = randomBytesPerRecord + saltBytes;

export interface Sealer {
  pair(pair: SealingPair): void;
  forget(ref: number): void;
  index(index: IndexKey): void;
  /** The commitment to a record's values (JSON text) and what seals them once the record's place is known. */
  commit(
    values: string,
    fresh: Uint8Array,
  ): { readonly commitment: string; readonly fields: Fields };
  seal(record: {
    readonly log: string;
    readonly seq: number;
    readonly commitment: string;
    readonly fields: Fields;
    readonly values: string;
    readonly pair: number;
    readonly fresh: Uint8Array;
  }): string;
}

/** Tokens remembered of each member: a value comes back with each call of its owner. */
const tokensMax = 8_192;
const noFields: Fields = Object.freeze({});

function createTokens(): Map<string, string> {
  return new Map();
}

export function createSealer(): Sealer {
  const pairs = new Map<number, SealingPair>();
  const tokens = { principal: createTokens(), client: createTokens(), session: createTokens() };
  let indexKey: Uint8Array | undefined;

  function tokenOf(member: TokenMember, value: string): string {
    const known = tokens[member].get(value);
    if (known !== undefined) return known;
    if (indexKey === undefined) throw new Error("no index key");
    if (tokens[member].size >= tokensMax) tokens[member].clear();
    const token = renderToken(indexKey, member, value);
    tokens[member].set(value, token);
    return token;
  }

  function forgetTokens(): void {
    for (const member of tokenMembers) tokens[member].clear();
  }

  function tokensOf(fields: Fields): Record<string, string> {
    const found: Record<string, string> = {};
    for (const member of tokenMembers) {
      const value = fields[member];
      if (typeof value === "string") found[member] = tokenOf(member, value);
    }
    return found;
  }

  return {
    pair: (pair) => void pairs.set(pair.ref, pair),
    forget(ref) {
      pairs.get(ref)?.key.fill(0);
      pairs.delete(ref);
      // Whose keys they were may be erased: what their values stand as is not remembered either.
      forgetTokens();
    },
    index({ key }) {
      indexKey?.fill(0);
      indexKey = key;
      forgetTokens();
    },
    commit(values, fresh) {
      if (values === "{}") return { commitment: emptyCommitment, fields: noFields };
      const fields = JSON.parse(values) as Fields;
      return { commitment: commitFields(fresh, fields), fields };
    },
    seal({ log, seq, commitment, fields, values, pair, fresh }) {
      if (fields === noFields) return emptyPart;
      const found = pairs.get(pair);
      if (found === undefined) throw new Error("no sealing key");
      return sealPart(
        { log, seq, commitment },
        {
          subject: found.subject,
          class: found.class,
          key: found.key,
          random: fresh,
          salt: fresh.subarray(randomBytesPerRecord),
          tokens: tokensOf(fields),
          values,
        },
      );
    },
  };
}
