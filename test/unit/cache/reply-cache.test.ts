/** Remembered replies: for their identity alone, for their time alone, within the caps. */
import { describe, expect, test } from "bun:test";
import type { CacheIdentity } from "../../../src/cache/cache-key.ts";
import { createReplyCache, type ReplyCacheDeps } from "../../../src/cache/reply-cache.ts";

const base: CacheIdentity = {
  principalId: "client:a",
  tenant: undefined,
  workspace: undefined,
  server: "s",
  method: "tools/call",
  target: "t",
  stateRevision: 1,
  variant: [],
  argumentsText: "{}",
};

function setUp(more: Partial<ReplyCacheDeps> = {}) {
  const time = { ms: 0, wallMs: 0 };
  const clock = { nowMs: () => time.wallMs, monotonicMs: () => time.ms };
  const counted = new Map<string, number>();
  const metrics = { count: (name: string) => void counted.set(name, (counted.get(name) ?? 0) + 1) };
  const cache = createReplyCache({
    bytesMax: 1_000_000,
    entriesMax: 1000,
    clock,
    metrics,
    ...more,
  });
  return { cache, time, counted };
}

const who = (principalId: string | undefined, argumentsText = "{}") => ({
  ...base,
  principalId,
  argumentsText,
});

describe("hits and misses", () => {
  test("a reply comes back to its own identity only (CA-01)", () => {
    const { cache, counted } = setUp();
    expect(cache.put(base, '{"é":1}', 1000)).toBeGreaterThan(0);
    expect(cache.get(base)?.text).toBe('{"é":1}');
    for (const other of [
      { principalId: "client:b" },
      { principalId: undefined },
      { stateRevision: 2 },
      { target: "u" },
      { argumentsText: '{"a":1}' },
    ]) {
      expect(cache.get({ ...base, ...other })).toBeUndefined();
    }
    expect(counted.get("mcp_gateway_cache_hits_total")).toBe(1);
    expect(counted.get("mcp_gateway_cache_misses_total")).toBe(5);
    expect(cache.statistics()).toMatchObject({
      hits: 1,
      misses: 5,
      entries: 1,
      bindingFailures: 0,
    });
  });

  test("CA-02 with an index that is always the same, no foreign reply is ever returned", () => {
    const { cache, counted } = setUp({ indexOf: () => "same" });
    let foreign = 0;
    for (let n = 0; n < 20_000; n += 1) {
      cache.put(who(`client:${n}`), `reply ${n}`, 1000);
      if (cache.get(who(`client:${n + 1}`)) !== undefined) foreign += 1;
    }
    expect(foreign).toBe(0);
    expect(counted.get("mcp_gateway_cache_binding_failures_total")).toBe(20_000);
    expect(cache.get(who("client:19999"))?.text).toBe("reply 19999");
  });

  test("CA-15 time to live on the monotonic clock, not the wall clock", () => {
    const { cache, time } = setUp();
    cache.put(base, "x", 1000);
    time.wallMs = 1e12;
    time.ms = 999;
    expect(cache.get(base)?.text).toBe("x");
    time.ms = 1000;
    expect(cache.get(base)).toBeUndefined();
    expect(cache.statistics()).toMatchObject({ entries: 0, bytes: 0 });
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])(
    "CA-05 a ttl of %p is not kept",
    (ttlMs) => {
      expect(setUp().cache.put(base, "x", ttlMs)).toBe(0);
    },
  );

  test("CA-05 a long ttl is cut", () => {
    const { cache, time } = setUp({ ttlMsMax: 10 });
    cache.put(base, "x", 1e12);
    time.ms = 10;
    expect(cache.get(base)).toBeUndefined();
  });

  test("arguments without a canonical form, and text that UTF-8 cannot hold, are not kept", () => {
    const { cache } = setUp();
    expect(cache.put(who("a", '{"x":1,"x":2}'), "x", 1000)).toBe(0);
    expect(cache.put(base, "\ud800", 1000)).toBe(0);
  });
});

describe("CA-14 bounds", () => {
  test("never more bytes or entries than allowed, and the newest stay", () => {
    const { cache } = setUp({ bytesMax: 10_000, entriesMax: 15 });
    for (let n = 0; n < 500; n += 1) {
      cache.put(who(`client:${n}`), "x".repeat((n * 37) % 3000), 1000);
      const { bytes, entries } = cache.statistics();
      expect(bytes).toBeLessThanOrEqual(10_000);
      expect(entries).toBeLessThanOrEqual(15);
    }
    expect(cache.get(who("client:499"))).toBeDefined();
    expect(cache.get(who("client:0"))).toBeUndefined();
    expect(cache.statistics().evictions).toBeGreaterThan(400);
  });

  test("one reply larger than the cache is not kept and pushes nothing out", () => {
    const { cache } = setUp({ bytesMax: 1000 });
    cache.put(base, "x", 1000);
    expect(cache.put(who("b"), "x".repeat(900), 1000)).toBe(0);
    expect(cache.get(base)?.text).toBe("x");
  });
});

describe("CA-10 purge", () => {
  function filled() {
    const { cache } = setUp();
    for (const server of ["s1", "s2"])
      for (const target of ["t1", "t2"])
        for (const principalId of ["a", "b"])
          cache.put({ ...base, server, target, principalId }, "x", 1000);
    return cache;
  }

  test.each([
    [{}, 8],
    [{ server: "s1" }, 4],
    [{ server: "s1", target: "t1" }, 2],
    [{ principalId: "a" }, 4],
    [{ server: "s1", target: "t2", principalId: "b" }, 1],
    [{ server: "s3" }, 0],
  ])("%p forgets %p", (filter, want) => {
    const cache = filled();
    expect(cache.purge(filter)).toBe(want);
    expect(cache.statistics().entries).toBe(8 - want);
    const probe: Record<string, string> = {
      server: "s1",
      target: "t1",
      principalId: "a",
    };
    const isDue = Object.entries(filter).every(([name, value]) => probe[name] === value);
    expect(cache.get({ ...base, ...probe })?.text).toBe(isDue ? undefined : "x");
  });

  test("P17: one tenant's entries go, its shared ones too, and nobody else's", () => {
    const { cache } = setUp();
    const owners = ["a", "a:b", undefined].flatMap((tenant) =>
      [undefined, "client:x"].map((principalId) => ({ ...base, tenant, principalId })),
    );
    for (const identity of owners) cache.put(identity, "x", 1000);
    expect(cache.purge({ tenant: "a", server: "elsewhere" })).toBe(0);
    expect(cache.purge({ tenant: "a" })).toBe(2);
    const left = owners.filter((identity) => cache.get(identity) !== undefined);
    expect(left.map(({ tenant }) => tenant)).toEqual(["a:b", "a:b", undefined, undefined]);
  });

  test("forgetting all moves to new keys", () => {
    const cache = filled();
    const before = cache.statistics().epoch;
    cache.purge({});
    expect(cache.statistics()).toMatchObject({ epoch: before + 1, bytes: 0 });
  });
});
