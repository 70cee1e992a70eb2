/**
 * Remembers replies, sealed. A stage asks by identity; an entry that was made for any other identity, was damaged or
 * has expired is a miss. Bounded in entries and bytes; expiry is judged on the monotonic clock.
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { type CacheIdentity, encodeIdentity } from "./cache-key.ts";
import { createCacheKeys, type EpochKeys } from "./keys.ts";
import { createSealer } from "./sealed.ts";

export interface ReplyCacheDeps {
  readonly bytesMax: number;
  readonly entriesMax: number;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "count">;
  /** Longer lifetimes are cut to this. Default 24 h. */
  readonly ttlMsMax?: number;
  /** Replaces the keyed index hash; for tests that force every identity into one slot. */
  readonly indexOf?: (identity: Buffer) => string;
}

/** Which entries to forget. Members that are set must all match; none set means all. */
export interface PurgeFilter {
  readonly server?: string | undefined;
  /** A tool, prompt or URI under its server's own name. */
  readonly target?: string | undefined;
  readonly principalId?: string | undefined;
  /** Of the principal whose reply it is. */
  readonly tenant?: string | undefined;
}

export interface CacheStatistics {
  readonly entries: number;
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  readonly bindingFailures: number;
  readonly evictions: number;
  readonly epoch: number;
}

export interface KeptReply {
  /** The reply's source text. */
  readonly text: string;
  /** Milliseconds until it is forgotten. */
  readonly leftMs: number;
}

export interface ReplyCache {
  get(identity: CacheIdentity): KeptReply | undefined;
  /**
   * Keeps a reply and says for how many milliseconds; 0 where it cannot be kept (no lifetime, too large, arguments
   * without canonical form).
   */
  put(identity: CacheIdentity, replyText: string, ttlMs: number): number;
  /** Forgets entries and says how many there were. */
  purge(filter: PurgeFilter): number;
  statistics(): CacheStatistics;
}

interface Entry {
  readonly sealed: Buffer;
  readonly expiresAtMs: number;
  readonly server: string;
  readonly target: string | undefined;
  readonly principalId: string | undefined;
  readonly tenant: string | undefined;
}

/** What an entry costs beside its sealed bytes: index, names, bookkeeping. */
const entryOverheadBytes = 256;

export function createReplyCache(deps: ReplyCacheDeps): ReplyCache {
  const { clock, metrics, bytesMax, entriesMax, ttlMsMax = 86_400_000 } = deps;
  const keys = createCacheKeys();
  const counts = { hits: 0, misses: 0, bindingFailures: 0, evictions: 0 };
  let entries = createEntries();
  let epoch = openEpoch(keys.current(), deps.indexOf);

  function createEntries() {
    return new LRUCache<string, Entry>({
      max: entriesMax,
      maxSize: bytesMax,
      sizeCalculation: sizeOf,
      dispose: (_entry, _index, reason) => {
        if (reason === "evict") counts.evictions += 1;
      },
    });
  }

  /** New keys make every entry unreadable; dropping the whole map leaves the rest to the collector. */
  function flush(): number {
    const dropped = entries.size;
    entries = createEntries();
    epoch = openEpoch(keys.bump(), deps.indexOf);
    return dropped;
  }

  function read(identity: CacheIdentity): KeptReply | undefined {
    const bytes = encodeIdentity(identity);
    if (bytes === undefined) return undefined;
    const index = epoch.indexOf(bytes);
    const entry = entries.get(index);
    if (entry === undefined) return undefined;
    const leftMs = entry.expiresAtMs - clock.monotonicMs();
    if (leftMs <= 0) {
      entries.delete(index);
      return undefined;
    }
    const plain = epoch.sealer.open(bytes, entry.sealed);
    if (plain !== undefined) return { text: plain.toString("utf8"), leftMs };
    counts.bindingFailures += 1;
    metrics.count("mcp_gateway_cache_binding_failures_total");
    return undefined;
  }

  return {
    get(identity) {
      const found = read(identity);
      const labels = { kind: identity.method };
      counts[found === undefined ? "misses" : "hits"] += 1;
      if (found === undefined) metrics.count("mcp_gateway_cache_misses_total", labels);
      else metrics.count("mcp_gateway_cache_hits_total", labels);
      return found;
    },
    put(identity, replyText, ttlMs) {
      if (!Number.isFinite(ttlMs) || ttlMs <= 0) return 0;
      // Each character is at least one byte: an oversized reply is refused before anything is spent on it.
      if (replyText.length > bytesMax || !replyText.isWellFormed()) return 0;
      const bytes = encodeIdentity(identity);
      if (bytes === undefined) return 0;
      if (epoch.sealer.isSpent()) flush();
      const { server, target, principalId, tenant } = identity;
      const sealed = epoch.sealer.seal(bytes, Buffer.from(replyText, "utf8"));
      const keptMs = Math.min(ttlMs, ttlMsMax);
      const expiresAtMs = clock.monotonicMs() + keptMs;
      const entry: Entry = { sealed, expiresAtMs, server, target, principalId, tenant };
      if (sizeOf(entry) > bytesMax) return 0;
      entries.set(epoch.indexOf(bytes), entry);
      return keptMs;
    },
    purge(filter) {
      if (Object.values(filter).every((one) => one === undefined)) return flush();
      const due = [...entries.entries()].filter(([, entry]) => matches(entry, filter));
      for (const [index] of due) entries.delete(index);
      return due.length;
    },
    statistics: () => ({
      ...counts,
      entries: entries.size,
      bytes: entries.calculatedSize,
      epoch: epoch.number,
    }),
  };
}

function openEpoch(keys: EpochKeys, indexOf = keys.indexOf) {
  return { number: keys.epoch, indexOf, sealer: createSealer(keys.sealKey, keys.epoch) };
}

function sizeOf({ sealed, server, target, principalId, tenant }: Entry): number {
  const texts = [server, target, principalId, tenant];
  const chars = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
  return sealed.length + chars + entryOverheadBytes;
}

function matches(entry: Entry, { server, target, principalId, tenant }: PurgeFilter): boolean {
  if (server !== undefined && entry.server !== server) return false;
  if (target !== undefined && entry.target !== target) return false;
  if (tenant !== undefined && entry.tenant !== tenant) return false;
  return principalId === undefined || entry.principalId === principalId;
}
