/**
 * A server that wants a token of each user: a client of its own for each of them, so that no connection, session or
 * parked call is ever shared between two (CA-08), behind the one `ServerClient` the pipeline knows. The gateway's own
 * requests go by its own token. How many users have a client is bounded; who calls least recently gives way.
 */
import { createFault, type Fault } from "../../errors/fault.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../../protocol/messages.ts";
import type { CallContext } from "../client.ts";
import type { PooledClient } from "../server-client.ts";
import type { Credentials } from "./credentials.ts";
import type { SubjectToken, TokenSource } from "./token-source.ts";
import { createUserSeats, tooManyCalls } from "./user-seats.ts";

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
  /** By who calls with which rights. */
  const seats = createUserSeats<User>({ server: name, ...options });

  /** The caller's own client; a fault where there can be none. */
  function clientOf(subject: NonNullable<CallContext["subject"]>): PooledClient | Fault {
    const found = seats.seat(subject.key, () => {
      const user: User = { client: options.create(tokens.forUser(() => user.subject)), subject };
      return user;
    });
    if (!("client" in found)) return found;
    found.subject = subject;
    return found.client;
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
    if (inFlight() >= maxInFlight) return { kind: "fault", fault: tooManyCalls(name, maxInFlight) };
    return client.call(request, context, relay);
  }

  const all = () => [own, ...seats.all().map(({ client }) => client)];
  const inFlight = () => all().reduce((sum, client) => sum + client.status().inFlight, 0);

  return {
    spec: own.spec,
    call,
    listen: own.listen,
    facts: own.facts,
    status: () => ({ ...own.status(), inFlight: inFlight() }),
    parkedCalls: () => all().reduce((sum, client) => sum + client.parkedCalls(), 0),
    async retire(drainTimeoutMs) {
      await Promise.all([own.retire(drainTimeoutMs), seats.retire(drainTimeoutMs)]);
    },
    async close() {
      await Promise.all([own.close(), seats.close()]);
    },
  };
}

function noUser(server: string): Fault {
  const message = `Server ${server} is called in a user's name: come with a token of the user's`;
  return createFault("policy-denied", message, { reason: "no-subject-token" });
}
