/**
 * How often each server said that something of it changed, by what is asked of it. What is remembered of a server's
 * answer is remembered under the count it was asked at: a change makes it unfindable at once, and with it an answer
 * that was under way. Compose hears of changes and notes them; the cache and the owners of resources look.
 */
import type { ServerChange } from "../servers/client.ts";

export interface ServerChanges {
  note(server: string, change: ServerChange): void;
  /** Changes of what this method answers, on these servers together. */
  count(servers: readonly string[], method: string): number;
}

/** An entry of a skill holds digests of its files, so it changes with each of them. */
const skills = ["skills/list", "skills/get", "resources/directory/read"];

const changedBy: Readonly<Record<ServerChange["kind"], readonly string[]>> = {
  tools: ["tools/list"],
  prompts: ["prompts/list"],
  resources: ["resources/list", "resources/templates/list", ...skills],
  // Every read of that server: what changed may be a part of what was read.
  resource: ["resources/read", ...skills],
  task: [],
};

export function createServerChanges(): ServerChanges {
  /** By method, then server: bounded by the servers there ever were. */
  const counts = new Map<string, Map<string, number>>();
  return {
    note(server, change) {
      for (const method of changedBy[change.kind]) {
        const own = counts.get(method) ?? new Map<string, number>();
        own.set(server, (own.get(server) ?? 0) + 1);
        counts.set(method, own);
      }
    },
    count(servers, method) {
      const own = counts.get(method);
      if (own === undefined) return 0;
      let sum = 0;
      for (const server of servers) sum += own.get(server) ?? 0;
      return sum;
    },
  };
}
