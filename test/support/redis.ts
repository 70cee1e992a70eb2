/**
 * A Redis server of a test's own: Debian's, on a free loopback port, keeping nothing on disk. It can be killed,
 * started again empty, and stopped for a while. A machine without one fails the test and is told how to get it.
 */
import { RedisClient } from "bun";
import { until, within } from "./deadline.ts";
import { freePort } from "./free-port.ts";

export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  /** At once, with all it held. */
  kill(): Promise<void>;
  /** Again, empty, on the same port. */
  start(): Promise<void>;
  pause(): void;
  resume(): void;
  /** One command, by a connection of its own. */
  send(command: string, ...args: readonly string[]): Promise<unknown>;
}

export async function startRedis(): Promise<TestRedis> {
  const port = freePort();
  const url = `redis://127.0.0.1:${port}`;
  let server: Bun.Subprocess | undefined;

  async function send(command: string, ...args: readonly string[]): Promise<unknown> {
    const client = new RedisClient(url, { autoReconnect: false, enableOfflineQueue: false });
    try {
      await client.connect();
      return await client.send(command, [...args]);
    } finally {
      client.close();
    }
  }

  async function start(): Promise<void> {
    const path = Bun.which("redis-server");
    if (path === null) throw new Error("no redis-server: apt-get install redis-server");
    const options = { bind: "127.0.0.1", port: String(port), save: "", appendonly: "no" };
    const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, value]);
    server = Bun.spawn([path, ...args], { stdio: ["ignore", "ignore", "ignore"], cwd: "/tmp" });
    await until("Redis to answer", () => send("PING").catch(() => false));
  }

  async function kill(): Promise<void> {
    const ending = server;
    server = undefined;
    if (ending === undefined) return;
    ending.kill("SIGKILL");
    await within("the end of Redis", ending.exited);
  }

  await start();
  return {
    url,
    kill,
    start,
    pause: () => server?.kill("SIGSTOP"),
    resume: () => server?.kill("SIGCONT"),
    send,
    [Symbol.asyncDispose]: kill,
  };
}
