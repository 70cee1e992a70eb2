/**
 * Counts what callers use on all nodes together: the buckets are in Redis, and one script takes from all of a call's
 * buckets or from none, by Redis's own clock. Where Redis does not answer this node decides alone, by its share: each
 * limit divided by the nodes last seen, from where Redis last said each bucket stood. `docs/limits.md` has the bounds.
 */
import { createHash } from "node:crypto";
import type { Metrics } from "../telemetry/metrics.ts";
import {
  type Charge,
  costOf,
  type LimitState,
  type LimitVerdict,
  refusalOf,
  stateOf,
  tighter,
} from "./charge.ts";
import type { Limiter } from "./limiter.ts";
import { type RedisLink, redisScript } from "./redis-link.ts";

export interface SharedLimiterDeps {
  readonly link: RedisLink;
  /** First part of every key. */
  readonly prefix: string;
  /** This node's own buckets, for when it decides alone; used by nobody else. */
  readonly alone: Limiter;
  /** How many nodes count together; at least 1. */
  readonly nodes: () => number;
  readonly metrics: Pick<Metrics, "count">;
}

export interface SharedLimiter {
  /** Never rejects. At most one round trip, and none while Redis is away. */
  take(charges: readonly Charge[]): Promise<LimitVerdict>;
}

/**
 * KEYS: a bucket each, kept as "tokens updatedMs". ARGV: capacity, tokens a millisecond and cost of each. Answers the
 * index of the first that has too few (0 = taken from all), then what is in each. A clock that goes back adds nothing.
 */
const takeScript = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local kept = redis.call('MGET', unpack(KEYS))
local tokens, short = {}, 0
for i = 1, #KEYS do
  local capacity, rate, cost = tonumber(ARGV[3*i-2]), tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i])
  tokens[i] = capacity
  if kept[i] then
    local had, at = string.match(kept[i], '^(%S+) (%S+)$')
    local filled = tonumber(had) + math.max(0, now - tonumber(at)) * rate
    tokens[i] = math.min(capacity, filled)
  end
  if short == 0 and tokens[i] < cost then short = i end
end
for i = 1, #KEYS do
  if short == 0 then
    local capacity, rate, cost = tonumber(ARGV[3*i-2]), tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i])
    tokens[i] = tokens[i] - cost
    local full = rate > 0 and (capacity - tokens[i]) / rate or 86400000
    local value = string.format('%.6f %.3f', tokens[i], now)
    redis.call('SET', KEYS[i], value, 'PX', math.ceil(full) + 1000)
  end
  tokens[i] = string.format('%.6f', tokens[i])
end
return {short, unpack(tokens)}
`);

export function createSharedLimiter(deps: SharedLimiterDeps): SharedLimiter {
  const { link, prefix, alone, nodes, metrics } = deps;

  function takeAlone(charges: readonly Charge[]): LimitVerdict {
    metrics.count("mcp_gateway_limits_alone_total");
    return alone.take(charges.map((charge) => shareOf(charge, nodes())));
  }

  function settle(charges: readonly Charge[], answer: SharedAnswer): LimitVerdict {
    const { short, tokens } = answer;
    let state: LimitState | undefined;
    charges.forEach((charge, index) => {
      const left = tokens[index] ?? 0;
      alone.settle(shareOf(charge, nodes()), left / nodes());
      state = tighter(state, stateOf(charge.limit, left));
    });
    const refusing = charges[short - 1];
    if (refusing === undefined) return { allowed: true, state };
    metrics.count("mcp_gateway_rate_limited_total", { limit: refusing.limit.name });
    return refusalOf(refusing, tokens[short - 1] ?? 0);
  }

  return {
    async take(charges) {
      if (charges.length === 0) return { allowed: true, state: undefined };
      if (!link.isUp()) return takeAlone(charges);
      const keys = charges.map((charge) => keyOf(prefix, charge));
      const args = charges.flatMap((charge) => [
        String(charge.limit.capacity),
        String(charge.limit.perMinute / 60_000),
        String(costOf(charge)),
      ]);
      try {
        return settle(charges, readAnswer(await link.run(takeScript, keys, args)));
      } catch {
        return takeAlone(charges);
      }
    },
  };
}

interface SharedAnswer {
  /** 1 for the first charge; 0 = all were paid. */
  readonly short: number;
  readonly tokens: readonly number[];
}

function readAnswer(answer: unknown): SharedAnswer {
  if (!Array.isArray(answer)) throw new Error("Redis answered the script with no list");
  const [short, ...tokens] = answer.map(Number);
  if (short === undefined || tokens.some(Number.isNaN)) {
    throw new Error("Redis answered the script with no numbers");
  }
  return { short, tokens };
}

/** Never less than one call at a time: a small burst over many nodes would let nobody in. */
function shareOf(charge: Charge, nodes: number): Charge {
  const { limit } = charge;
  const capacity = Math.max(1, limit.capacity / nodes);
  return { ...charge, limit: { ...limit, capacity, perMinute: limit.perMinute / nodes } };
}

/** Callers' ids and tools' names do not leave this process as they are: Redis keeps only their hash. */
function keyOf(prefix: string, { limit, key }: Charge): string {
  const digest = createHash("sha256").update(key).digest("base64url").slice(0, 27);
  return `${prefix}:limit:${limit.name}:${digest}`;
}
