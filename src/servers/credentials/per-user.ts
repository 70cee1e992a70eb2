/**
 * A server that wants a token of each user: a client of its own for each of them, so that no connection, session or
 * parked call is ever shared between two (CA-08), behind the one `ServerClient` the pipeline knows. The gateway's own
 * requests go by its own token. How many users have a client is bounded; who calls least recently gives way.
 */
import { createFault, type Fault } from "../../errors/fault.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../../protocol/messages.ts";
import type { CallContext } from "../client.ts";
import { unreachable } from "../faults.ts";
import type { PooledClient } from "../server-client.ts";
import type { Credentials } from "./credentials.ts";
import type { SubjectToken, TokenSource } from "./token-source.ts";

export interface PerUserOptions {
  readonly own: PooledClient;
  readonly tokens: TokenSource;
  readonly create: (credentials: Credentials) => PooledClient;
  readonly usersMax: number;
  readonly drainTimeoutMs: number;
}

interface User {
  readonly client: PooledClient;
  /** The newest of equal tokens. */
  subject: SubjectToken;
}

export function createPerUserClient(options: PerUserOptions): PooledClient {
  const { own, tokens } = options;
  const { name, maxInFlight } = own.spec;
  /** By who calls with which rights, least recently used first. */
  const users = new Map<string, User>();
  let isClosed = false;

  /** The caller's own client; a fault where there can be none. */
  function clientOf(subject: NonNullable<CallContext["subject"]>): PooledClient | Fault {
    const known = users.get(subject.key);
    if (known !== undefined) {
      users.delete(subject.key);
      users.set(subject.key, known);
      known.subject = subject;
      return known.client;
    }
    if (isClosed) return unreachable(name, "closed-by-gateway");
    if (users.size >= options.usersMax && !makeRoom()) {
      return createFault("too-many-in-flight", `Server ${name} serves as many users as it may`, {
        retryAfterMs: 1_000,
        reason: "users-max",
      });
    }
    const user: User = { client: options.create(tokens.forUser(() => user.subject)), subject };
    users.set(subject.key, user);
    return user.client;
  }

  function makeRoom(): boolean {
    for (const [key, { client }] of users) {
      if (client.status().inFlight > 0) continue;
      users.delete(key);
      void client.retire(options.drainTimeoutMs).catch(() => {});
      return true;
    }
    return false;
  }

  async function call(
    request: McpRequest,
    context: CallContext,
    relay: (message: RelayedMessage) => void,
  ): Promise<Outcome> {
    if (context.principalId === undefined) return own.call(request, context, relay);
    if (context.subject === undefined) return { kind: "fault", fault: noUser(name) };
    const client = clientOf(context.subject);
    if (!("call" in client)) return { kind: "fault", fault: client };
    if (inFlight() >= maxInFlight) return { kind: "fault", fault: tooMany(name, maxInFlight) };
    return client.call(request, context, relay);
  }

  const all = () => [own, ...[...users.values()].map(({ client }) => client)];
  const inFlight = () => all().reduce((sum, client) => sum + client.status().inFlight, 0);

  return {
    spec: own.spec,
    call,
    listen: own.listen,
    facts: own.facts,
    status: () => ({ ...own.status(), inFlight: inFlight() }),
    parkedCalls: () => all().reduce((sum, client) => sum + client.parkedCalls(), 0),
    async retire(drainTimeoutMs) {
      isClosed = true;
      await Promise.all(all().map((client) => client.retire(drainTimeoutMs)));
    },
    async close() {
      isClosed = true;
      await Promise.all(all().map((client) => client.close()));
    },
  };
}

function noUser(server: string): Fault {
  const message = `Server ${server} is called in a user's name: come with a token of the user's`;
  return createFault("policy-denied", message, { reason: "no-subject-token" });
}

function tooMany(server: string, max: number): Fault {
  return createFault(
    "too-many-in-flight",
    `Server ${server} already has ${max} calls in flight, the most allowed`,
    { retryAfterMs: 1_000 },
  );
}
