/**
 * What nodes that share limits tell each other once a second: that they are there, so that each knows its share for
 * when Redis is away, and whom they put aside. A beat also connects the link again after it was lost.
 */
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../telemetry/log.ts";
import { type Penalty, type PenaltyBox, type PenaltyKind, penaltyKinds } from "./penalty-box.ts";
import { type RedisLink, redisScript } from "./redis-link.ts";

export interface SharedNodesDeps {
  readonly link: RedisLink;
  readonly prefix: string;
  /** Unique among the nodes. */
  readonly nodeId: string;
  /** Assumed until Redis has said how many there are. */
  readonly nodesAssumed: number;
  readonly penalties: Pick<PenaltyBox, "adopt" | "forget">;
  readonly clock: Clock;
  readonly log: Log;
}

export interface SharedNodes {
  /** Nodes seen in the last beat that succeeded; at least 1. */
  count(): number;
  /** Tells the other nodes; where Redis is away the next beats try again. */
  publish(penalty: Penalty): void;
  withdraw(kind: PenaltyKind, key: string): void;
  /** One beat: connects, says that this node is there, learns what the others say. Never rejects. */
  beat(): Promise<void>;
  /** Leaves, so that the others need not wait for it to be missed. */
  close(): Promise<void>;
}

/** A node that has said nothing for this long is gone. */
const missedMs = 5_000;
const penaltiesMax = 10_000;

/** KEYS: nodes, penalties. ARGV: this node, when it counts as missed. Answers how many nodes, then fields and values. */
const beatScript = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local told = redis.call('HGETALL', KEYS[2])
local answer = {redis.call('ZCARD', KEYS[1]), now}
for i = 1, #told, 2 do
  local ends = tonumber(string.match(told[i + 1], '^%d+'))
  if ends and ends > now then
    answer[#answer + 1] = told[i]
    answer[#answer + 1] = told[i + 1]
  else
    redis.call('HDEL', KEYS[2], told[i])
  end
end
return answer
`);

/** KEYS: penalties. ARGV: field, rest of the value, how long it lasts, most fields. */
const publishScript = redisScript(`
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3])
if redis.call('HLEN', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', ends) .. ' ' .. ARGV[2])
  return 1
end
return 0
`);

export function createSharedNodes(deps: SharedNodesDeps): SharedNodes {
  const { link, prefix, nodeId, penalties, clock, log } = deps;
  const nodesKey = `${prefix}:nodes`;
  const penaltiesKey = `${prefix}:penalties`;
  let nodes = Math.max(1, deps.nodesAssumed);
  let wasUp: boolean | undefined;
  let beats = 0;
  let isClosed = false;
  /** What Redis held in the last beat, by field. */
  let told = new Map<string, Penalty>();
  /** Not yet said to Redis, or said after the beat that runs began: field to what is to be said. */
  const unsaid = new Map<string, { readonly penalty: Penalty | undefined; beat: number }>();

  async function say(field: string): Promise<void> {
    const waiting = unsaid.get(field);
    if (waiting === undefined || !link.isUp()) return;
    const { penalty } = waiting;
    try {
      if (penalty === undefined) await link.send("HDEL", [penaltiesKey, field]);
      else {
        const leftMs = Math.max(1, Math.ceil(penalty.endsAtMs - clock.nowMs()));
        const args = [field, String(penalty.refusals), String(leftMs), String(penaltiesMax)];
        // A full list is not told more: what it does not hold stays this node's own.
        if ((await link.run(publishScript, [penaltiesKey], args)) === 0) unsaid.delete(field);
      }
      waiting.beat = beats;
    } catch {
      // The next beat says it again.
    }
  }

  function learn(answer: unknown, beat: number): void {
    if (!Array.isArray(answer)) return;
    const [count, redisNow, ...fields] = answer;
    nodes = Math.max(1, Number(count));
    const next = new Map<string, Penalty>();
    for (let index = 0; index + 1 < fields.length; index += 2) {
      const field = String(fields[index]);
      const penalty = readPenalty(field, String(fields[index + 1]), Number(redisNow), clock);
      const waiting = unsaid.get(field);
      const isWithdrawn = waiting !== undefined && waiting.penalty === undefined;
      if (penalty === undefined || isWithdrawn) continue;
      next.set(field, penalty);
      penalties.adopt(penalty);
    }
    for (const [field, waiting] of unsaid) {
      if (waiting.beat >= beat) continue;
      unsaid.delete(field);
      if (waiting.penalty !== undefined) told.set(field, waiting.penalty);
    }
    // What Redis held, and holds no longer before its time, somebody cleared.
    for (const [field, { kind, key, endsAtMs }] of told) {
      if (next.has(field) || unsaid.has(field) || endsAtMs <= clock.nowMs()) continue;
      penalties.forget(kind, key);
    }
    told = next;
  }

  function noteState(isUp: boolean, reason?: string): void {
    if (isUp === wasUp) return;
    wasUp = isUp;
    if (isUp) log.info("limits.shared", { nodes });
    else log.error("limits.alone", { reason, nodes });
  }

  async function beatOnce(): Promise<void> {
    beats += 1;
    const beat = beats;
    try {
      await link.connect();
      for (const [field, waiting] of unsaid) {
        if (waiting.beat === Number.POSITIVE_INFINITY) await say(field);
      }
      const args = [nodeId, String(missedMs)];
      learn(await link.run(beatScript, [nodesKey, penaltiesKey], args), beat);
      noteState(true);
    } catch (error) {
      noteState(false, error instanceof Error ? error.message : String(error));
    }
  }

  function note(field: string, penalty: Penalty | undefined): void {
    if (unsaid.size >= penaltiesMax) return;
    unsaid.set(field, { penalty, beat: Number.POSITIVE_INFINITY });
    void say(field);
  }

  return {
    count: () => nodes,
    publish: (penalty) => note(fieldOf(penalty.kind, penalty.key), penalty),
    withdraw: (kind, key) => note(fieldOf(kind, key), undefined),
    async beat() {
      if (!isClosed) await beatOnce();
    },
    async close() {
      isClosed = true;
      if (link.isUp()) await link.send("ZREM", [nodesKey, nodeId]).catch(() => {});
      link.close();
    },
  };
}

function fieldOf(kind: PenaltyKind, key: string): string {
  return `${kind} ${key}`;
}

/** By this node's clock, whatever Redis's says. */
function readPenalty(
  field: string,
  value: string,
  redisNowMs: number,
  clock: Clock,
): Penalty | undefined {
  const kind = penaltyKinds.find((one) => field.startsWith(`${one} `));
  const [ends, refusals] = value.split(" ").map(Number);
  if (kind === undefined || ends === undefined || refusals === undefined) return undefined;
  const endsAtMs = clock.nowMs() + (ends - redisNowMs);
  const key = field.slice(kind.length + 1);
  return { kind, key, startedAtMs: clock.nowMs(), endsAtMs, refusals };
}
