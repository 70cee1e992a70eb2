/**
 * The users who have a client of their own to one server, by key: bounded, and who calls least recently gives way. Shared
 * by both kinds of server that are called in users' names.
 */
import { createFault, type Fault } from "../../errors/fault.ts";
import { unreachable } from "../faults.ts";
import type { PooledClient } from "../server-client.ts";

export interface UserSeats<User extends { readonly client: PooledClient }> {
  find(key: string): User | undefined;
  /** The user of this key, made where there is none; a fault where there is no room. */
  seat(key: string, make: () => User): User | Fault;
  /** Ends the client once its calls are over. */
  remove(key: string): void;
  all(): readonly User[];
  retire(drainTimeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

export function createUserSeats<User extends { readonly client: PooledClient }>(options: {
  readonly server: string;
  readonly usersMax: number;
  readonly drainTimeoutMs: number;
}): UserSeats<User> {
  /** Least recently used first. */
  const users = new Map<string, User>();
  let isClosed = false;

  function find(key: string): User | undefined {
    const known = users.get(key);
    if (known !== undefined) {
      users.delete(key);
      users.set(key, known);
    }
    return known;
  }

  function remove(key: string): void {
    const user = users.get(key);
    users.delete(key);
    void user?.client.retire(options.drainTimeoutMs).catch(() => {});
  }

  function makeRoom(): boolean {
    for (const [key, { client }] of users) {
      if (client.status().inFlight > 0) continue;
      remove(key);
      return true;
    }
    return false;
  }

  const clients = () => [...users.values()].map(({ client }) => client);

  return {
    find,
    seat(key, make) {
      const known = find(key);
      if (known !== undefined) return known;
      if (isClosed) return unreachable(options.server, "closed-by-gateway");
      if (users.size >= options.usersMax && !makeRoom()) {
        const message = `Server ${options.server} serves as many users as it may`;
        const more = { retryAfterMs: 1_000, reason: "users-max" };
        return createFault("too-many-in-flight", message, more);
      }
      const user = make();
      users.set(key, user);
      return user;
    },
    remove,
    all: () => [...users.values()],
    async retire(drainTimeoutMs) {
      isClosed = true;
      await Promise.all(clients().map((client) => client.retire(drainTimeoutMs)));
    },
    async close() {
      isClosed = true;
      await Promise.all(clients().map((client) => client.close()));
    },
  };
}

export function tooManyCalls(server: string, max: number): Fault {
  return createFault(
    "too-many-in-flight",
    `Server ${server} already has ${max} calls in flight, the most allowed`,
    { retryAfterMs: 1_000 },
  );
}
