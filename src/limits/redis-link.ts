/**
 * One connection to Redis that is never waited for longer than a call may: what does not answer in time is given up
 * and the link is down until a beat has connected it again. Bun's client neither times commands out nor, with its own
 * reconnecting off, queues them, so both are decided here. Used by `shared-limiter.ts` and `shared-nodes.ts`.
 */
import { createHash } from "node:crypto";
import { RedisClient } from "bun";

export interface RedisScript {
  readonly text: string;
  /** What Redis knows it by once it has seen the text. */
  readonly sha1: string;
}

export interface RedisLinkDeps {
  readonly url: string;
  /** Longest wait for one answer, and for a connection. */
  readonly timeoutMs: number;
}

export interface RedisLink {
  isUp(): boolean;
  /** Connects where the link is down; rejects where that fails. */
  connect(): Promise<void>;
  /** One round trip, two the first time Redis sees the script. Rejects where the link is down or no answer comes. */
  run(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  send(command: string, args: readonly string[]): Promise<unknown>;
  close(): void;
}

export function redisScript(text: string): RedisScript {
  return { text, sha1: createHash("sha1").update(text).digest("hex") };
}

export function createRedisLink({ url, timeoutMs }: RedisLinkDeps): RedisLink {
  let client: RedisClient | undefined;
  let isClosed = false;

  /** Everything that waits on a link that is given up fails with it. */
  function giveUp(lost: RedisClient): void {
    if (client === lost) client = undefined;
    lost.close();
  }

  async function within<T>(asked: RedisClient, answer: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`Redis did not answer within ${timeoutMs} ms`));
        giveUp(asked);
      }, timeoutMs);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async function send(command: string, args: readonly string[]): Promise<unknown> {
    const asked = client;
    if (asked === undefined) throw new Error("Redis is not connected");
    try {
      return await within(asked, asked.send(command, [...args]));
    } catch (error) {
      if (!isAnswer(error)) giveUp(asked);
      throw error;
    }
  }

  return {
    isUp: () => client !== undefined,
    async connect() {
      if (client !== undefined) return;
      const options = { autoReconnect: false, enableOfflineQueue: false };
      const made = new RedisClient(url, { ...options, connectionTimeout: timeoutMs });
      made.onclose = () => giveUp(made);
      try {
        await within(made, made.connect());
      } catch (error) {
        made.close();
        throw error;
      }
      if (isClosed) made.close();
      else client = made;
    },
    async run({ sha1, text }, keys, args) {
      const rest = [String(keys.length), ...keys, ...args];
      try {
        return await send("EVALSHA", [sha1, ...rest]);
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
        return await send("EVAL", [text, ...rest]);
      }
    },
    send,
    close() {
      isClosed = true;
      if (client !== undefined) giveUp(client);
    },
  };
}

/** An error that Redis itself sent: the link is fine. */
function isAnswer(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_REDIS_SERVER_ERROR";
}
