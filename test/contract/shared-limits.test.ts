/**
 * Limits that nodes share, on a real Redis: exact while it answers, each node's share while it does not, and the
 * penalty box across nodes (L06, L10). Each node here is a counter with a link of its own.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/lib/clock.ts";
import { type Charge, namedLimit } from "../../src/limits/charge.ts";
import { createLimiter } from "../../src/limits/limiter.ts";
import { createPenaltyBox } from "../../src/limits/penalty-box.ts";
import { createRedisLink } from "../../src/limits/redis-link.ts";
import { createSharedLimiter } from "../../src/limits/shared-limiter.ts";
import { createSharedNodes } from "../../src/limits/shared-nodes.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { until } from "../support/deadline.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

const redisTimeoutMs = 2_000;
let prefixes = 0;
function freshPrefix(): string {
  prefixes += 1;
  return `test-${prefixes}`;
}

/** Refills so slowly that nothing comes back while a test runs. */
function charge(capacity: number, key = "client:a", cost = 1): Charge {
  return { limit: namedLimit("client", capacity, 0.001), key, cost };
}

function startNode(prefix: string, nodeId: string, nodesAssumed = 1) {
  const alone: string[] = [];
  const told: string[] = [];
  const metrics = { count: (name: string) => void alone.push(name) };
  // A busy machine must not look like an absent Redis.
  const link = createRedisLink({ url: redis.url, timeoutMs: redisTimeoutMs });
  const penalties = createPenaltyBox({
    refusalsMax: 2,
    penaltyMs: 60_000,
    clock: systemClock,
    metrics,
    onStart(penalty) {
      told.push("in");
      nodes.publish(penalty);
    },
    onEnd({ kind, key }, why) {
      told.push(`out ${why}`);
      nodes.withdraw(kind, key);
    },
  });
  const deps = { link, prefix, clock: systemClock, log: silentLog };
  const nodes = createSharedNodes({ ...deps, nodeId, nodesAssumed, penalties });
  const limiter = createSharedLimiter({
    link,
    prefix,
    nodes: nodes.count,
    metrics,
    alone: createLimiter({ clock: systemClock, metrics }),
  });
  const take = async (...charges: readonly Charge[]) => await limiter.take(charges);
  const admitted = async (times: number, one: Charge) => {
    const verdicts = await Promise.all(Array.from({ length: times }, () => take(one)));
    return verdicts.filter(({ allowed }) => allowed).length;
  };
  return {
    nodes,
    penalties,
    take,
    admitted,
    told,
    timesAlone: () => alone.filter((name) => name === "mcp_gateway_limits_alone_total").length,
    [Symbol.asyncDispose]: () => nodes.close(),
  };
}

async function threeNodes(prefix: string) {
  const nodes = ["n1", "n2", "n3"].map((id) => startNode(prefix, id));
  for (let round = 0; round < 2; round += 1) for (const one of nodes) await one.nodes.beat();
  const all = new AsyncDisposableStack();
  for (const one of nodes) all.use(one);
  return { nodes, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const sum = (counts: readonly number[]) => counts.reduce((total, one) => total + one, 0);

describe("L06 while Redis answers", () => {
  test("three nodes at once admit exactly the burst", async () => {
    await using three = await threeNodes(freshPrefix());
    const counts = await Promise.all(three.nodes.map((one) => one.admitted(100, charge(50))));
    expect(sum(counts)).toBe(50);
    expect(three.nodes.map((one) => one.timesAlone())).toEqual([0, 0, 0]);
    expect(three.nodes.map((one) => one.nodes.count())).toEqual([3, 3, 3]);
  });

  test("a call takes from all its buckets or from none, by cost, and is told the tightest", async () => {
    await using node = startNode(freshPrefix(), "n");
    await node.nodes.beat();
    const wide = charge(10, "wide");
    const narrow: Charge = { ...charge(2, "narrow"), limit: namedLimit("tool", 2, 0.001) };
    const both = () => node.take(wide, narrow);
    expect(await both()).toMatchObject({ allowed: true, state: { remaining: 1 } });
    expect(await both()).toMatchObject({ state: { policy: expect.stringContaining('"tool"') } });
    for (let n = 0; n < 5; n += 1) {
      expect(await both()).toMatchObject({ allowed: false, fault: { reason: "tool-rate" } });
    }
    expect(await node.take({ ...wide, cost: 7 })).toMatchObject({ state: { remaining: 1 } });
    expect(await node.take({ ...wide, cost: 2 })).toMatchObject({ allowed: false });
    expect(await node.take({ ...charge(3, "dear"), cost: 99 })).toMatchObject({
      allowed: true,
      state: { remaining: 0 },
    });
  });

  test("buckets refill by Redis's clock, and Redis keeps neither names nor full buckets", async () => {
    const prefix = freshPrefix();
    await using node = startNode(prefix, "n");
    await node.nodes.beat();
    const quick: Charge = { limit: namedLimit("rule", 2, 30), key: "who", cost: 1 };
    expect([await node.admitted(3, quick)]).toEqual([2]);
    await until("a token", async () => (await node.take(quick)).allowed);
    const keys = await redis.send("KEYS", `${prefix}:limit:*`);
    expect(keys).toEqual([expect.stringMatching(/:limit:rule:[\w-]{27}$/)]);
    const ttl = Number(await redis.send("PTTL", String((keys as string[])[0])));
    expect(ttl).toBeGreaterThan(0);
    expect(ttl).toBeLessThanOrEqual(5_000);
  });

  test("a node that joins or leaves changes nothing but the share", async () => {
    const prefix = freshPrefix();
    await using three = await threeNodes(prefix);
    const [first, second] = three.nodes;
    expect(await first?.admitted(30, charge(40))).toBe(30);
    await second?.nodes.close();
    await using fourth = startNode(prefix, "n4");
    await fourth.nodes.beat();
    expect(fourth.nodes.count()).toBe(3);
    expect(await fourth.admitted(30, charge(40))).toBe(10);
    expect(await second?.admitted(1, charge(40, "other"))).toBe(1);
    expect(second?.timesAlone()).toBe(1);
  });
});

describe("L06 while Redis is away", () => {
  test("each node admits its share from where it last heard Redis was; back and empty is one burst more", async () => {
    await using three = await threeNodes(freshPrefix());
    const known = charge(60);
    for (const one of three.nodes) expect(await one.admitted(8, known)).toBe(8);
    await redis.kill();
    // Each node last heard that 52, 44 and 36 are left, and takes a third of that.
    const counts = await Promise.all(three.nodes.map((one) => one.admitted(60, known)));
    expect(counts).toEqual([17, 14, 12]);
    const fresh = await Promise.all(three.nodes.map((one) => one.admitted(60, charge(60, "new"))));
    expect(fresh).toEqual([20, 20, 20]);
    expect(three.nodes.every((one) => one.timesAlone() >= 120)).toBe(true);
    // Back and empty: at most one burst more.
    await redis.start();
    for (const one of three.nodes) await one.nodes.beat();
    const after = await Promise.all(three.nodes.map((one) => one.admitted(60, known)));
    expect(sum(after)).toBe(60);
  });

  test("a burst smaller than the number of nodes still lets one in at a time", async () => {
    await using three = await threeNodes(freshPrefix());
    await redis.kill();
    const counts = await Promise.all(three.nodes.map((one) => one.admitted(5, charge(2))));
    expect(counts).toEqual([1, 1, 1]);
    await redis.start();
  });

  test("a node that starts meanwhile divides by what it was told to assume", async () => {
    await redis.kill();
    await using late = startNode(freshPrefix(), "late", 4);
    await late.nodes.beat();
    expect(await late.admitted(50, charge(40))).toBe(10);
    await redis.start();
    await late.nodes.beat();
    expect(late.nodes.count()).toBe(1);
  });

  test("a Redis that hangs costs one call its time, and the others nothing", async () => {
    await using node = startNode(freshPrefix(), "n");
    await node.nodes.beat();
    redis.pause();
    try {
      expect(await node.admitted(5, charge(10))).toBe(5);
      expect(node.timesAlone()).toBe(5);
      // Known to be away: not even asked.
      const verdict = await Promise.race([node.take(charge(10)), Bun.sleep(redisTimeoutMs / 2)]);
      expect(verdict).toMatchObject({ allowed: true });
    } finally {
      redis.resume();
    }
    await node.nodes.beat();
    expect(await node.admitted(1, charge(10, "again"))).toBe(1);
    expect(node.timesAlone()).toBe(6);
  });
});

describe("L10 put aside on one node, put aside on all", () => {
  test("others learn of it with their next beat, and of its clearing, wherever it is cleared", async () => {
    await using three = await threeNodes(freshPrefix());
    const [first, second, third] = three.nodes;
    if (first === undefined || second === undefined || third === undefined)
      throw new Error("three");
    const isAside = (node: typeof first) =>
      node.penalties.check("principal", "client:a") !== undefined;
    first.penalties.noteRefusal("principal", "client:a");
    first.penalties.noteRefusal("principal", "client:a");
    await until("the others to know", async () => {
      await second.nodes.beat();
      return isAside(second);
    });
    await third.nodes.beat();
    expect(third.penalties.list()).toMatchObject([{ key: "client:a", refusals: 2 }]);
    expect(third.penalties.clear("principal", "client:a")).toBe(true);
    await until("the first to know", async () => {
      await first.nodes.beat();
      await second.nodes.beat();
      await third.nodes.beat();
      return !isAside(first) && !isAside(second) && !isAside(third);
    });
    expect([first.told, second.told, third.told]).toEqual([["in"], [], ["out cleared"]]);
  });

  test("decided while Redis is away, it is told when Redis is back; a new node takes it over", async () => {
    const prefix = freshPrefix();
    await using node = startNode(prefix, "n");
    await redis.kill();
    await node.nodes.beat();
    node.penalties.noteRefusal("source", "192.0.2.1");
    node.penalties.noteRefusal("source", "192.0.2.1");
    expect(node.penalties.list()).toHaveLength(1);
    await redis.start();
    await node.nodes.beat();
    await using late = startNode(prefix, "late");
    await late.nodes.beat();
    expect(late.penalties.check("source", "192.0.2.1")).toBeDefined();
    expect(node.penalties.list()).toHaveLength(1);
  });
});
