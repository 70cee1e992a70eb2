/**
 * What personal values stand as in the copy's columns: an HMAC under the index key, so that a value can be looked for
 * by whoever has the key, and not be read out of the database. Older index keys find what was recorded under them.
 */
import type { AuditFilter } from "../storage/store.ts";
import type { IndexKey, OpeningKeys } from "../vault/keys.ts";
import { hmacInto } from "./hmac.ts";
import { tokenMembers } from "./sealing.ts";

/** 32 hex digits. */
export function renderToken(indexKey: Uint8Array, member: string, value: string): string {
  const hash = hmacInto(new Uint8Array(32), indexKey, `${member}\0${value}`);
  return hash.subarray(0, 16).toHex();
}

export interface FilterTokens {
  /** The filter with tokens for values, one for each index key; rejects where the vault cannot be asked. */
  toStored(filter: AuditFilter): Promise<AuditFilter>;
}

export function createFilterTokens(keys: Pick<OpeningKeys, "indexKeys">): FilterTokens {
  return {
    async toStored(filter) {
      if (tokenMembers.every((member) => filter[member] === undefined)) return filter;
      const live = await keys.indexKeys();
      return replaceValues(filter, live);
    },
  };
}

function replaceValues(filter: AuditFilter, live: readonly IndexKey[]): AuditFilter {
  const replaced: Record<string, readonly string[]> = {};
  for (const member of tokenMembers) {
    const value = filter[member];
    if (typeof value !== "string") continue;
    replaced[member] = live.map(({ key }) => renderToken(key, member, value));
  }
  return { ...filter, ...replaced };
}
