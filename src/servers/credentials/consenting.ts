/**
 * A server that each user must allow the gateway to reach in their name: a client of its own for each grant, and where
 * there is none, or it reaches too little, a question with a URL instead of a call (reference section 3.2). Nothing of a
 * call goes to the server before its user has agreed, and the gateway itself asks such a server nothing.
 */
import { createFault, type Fault } from "../../errors/fault.ts";
import { readClientFeatures } from "../../protocol/client-features.ts";
import { askingMethods, renderInputRequired } from "../../protocol/input-required.ts";
import { stringMember, withMembers } from "../../protocol/json-view.ts";
import { emptyFilter } from "../../protocol/listen-filter.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../../protocol/messages.ts";
import type { Catalogues } from "../catalogues.ts";
import type { CallContext, ServerFacts, ServerStatus } from "../client.ts";
import { consentRequired, faultOf } from "../faults.ts";
import { isUrlRefused } from "../legacy/url-required.ts";
import type { PooledClient } from "../server-client.ts";
import type { ServerSpec } from "../spec.ts";
import type { AccessCaller, AccessLinks } from "../user-access.ts";
import type { Credentials } from "./credentials.ts";
import { createGrantCredentials, type GrantCredentials } from "./grant-credentials.ts";
import type { Grant } from "./grant-shape.ts";
import type { Grants } from "./grants.ts";
import type { GrantAuthority } from "./user-authorization.ts";
import { createUserSeats, tooManyCalls } from "./user-seats.ts";

export interface ConsentingOptions {
  readonly spec: ServerSpec;
  readonly grants: Grants;
  readonly links: AccessLinks;
  readonly authority: GrantAuthority;
  /** A whole client of the server with this credential. */
  readonly create: (credentials: Credentials) => UserEntry;
  readonly clock: Parameters<typeof createGrantCredentials>[0]["clock"];
  readonly usersMax: number;
  readonly drainTimeoutMs: number;
}

interface UserEntry {
  readonly client: PooledClient;
  readonly catalogues: Catalogues;
}

interface User extends UserEntry {
  readonly credentials: GrantCredentials;
}

export interface ConsentingServer {
  readonly client: PooledClient;
  /** What the caller's own grant shows; undefined without one. */
  catalogues(caller: AccessCaller | undefined): Promise<Catalogues | undefined>;
  /** The same from memory alone. */
  knownCatalogues(caller: AccessCaller | undefined): Catalogues | undefined;
}

const marker = "mcp-gateway-consent:";
const stateForm = /^mcp-gateway-consent:([0-9]{1,2}):([0-9]{1,15})$/;
/** How often one call asks, and how long it waits for the user each time. */
const asksMax = 4;
const waitMsMax = 60_000;
/** Left of a call's time for the call itself. */
const restMs = 2_000;

/** Before anybody's grant shows what the server is, it may be anything an agent asks for. */
const unknownFacts: ServerFacts = Object.freeze({
  era: "modern",
  revision: "2026-07-28",
  capabilitiesText: '{"tools":{},"prompts":{},"resources":{}}',
  instructions: undefined,
  serverInfoText: undefined,
});

/** How often this call has asked already, and the grant it had then. */
interface AskedBefore {
  readonly asks: number;
  readonly version: number;
}

export function createConsentingServer(options: ConsentingOptions): ConsentingServer {
  const { spec, grants, authority, links } = options;
  const { name, maxInFlight } = spec;
  const seats = createUserSeats<User>({ server: name, ...options });
  let lastFacts: ServerFacts | undefined;
  const stopWatching = grants.onGone(seats.remove);

  function seatOf(grant: Grant): User | Fault {
    const user = seats.seat(grant.id, () => {
      const { refresh } = authority;
      const { clock } = options;
      const credentials = createGrantCredentials({
        server: name,
        first: grant,
        grants,
        refresh,
        clock,
      });
      return { ...options.create(credentials), credentials };
    });
    if ("client" in user) user.credentials.use(grant);
    return user;
  }

  /** An `input_required` result, or for who cannot be asked that way an error that names the page. */
  async function ask(
    request: McpRequest,
    caller: AccessCaller,
    moreScopes: readonly string[],
    before: AskedBefore,
  ): Promise<Outcome> {
    const url = await links.make({ caller, server: name, moreScopes });
    if (url === undefined) return { kind: "fault", fault: noLogin(name) };
    const features = readClientFeatures(request.envelope.clientCapabilitiesText);
    const canAsk = askingMethods.has(request.method) && features.elicitationUrl;
    if (!canAsk || before.asks >= asksMax) {
      return { kind: "fault", fault: consentRequired(name, url) };
    }
    const more = moreScopes.length === 0 ? "" : " to more than before";
    const message = `[${name}] needs your consent${more}: open the page, log in and allow access`;
    const paramsText = JSON.stringify({ mode: "url", message, url });
    const state = `${marker}${before.asks + 1}:${before.version}`;
    const question = { key: "consent", method: "elicitation/create", paramsText } as const;
    return { kind: "result", result: renderInputRequired([question], state) };
  }

  /** Waits for the user where they were asked before; a fault where they said no. */
  async function decided(
    request: McpRequest,
    caller: AccessCaller,
    { version }: AskedBefore,
    { timeoutMs, signal }: CallContext,
  ): Promise<Fault | undefined> {
    if (isUrlRefused(request)) return declined(name);
    const waitMs = Math.min(waitMsMax, timeoutMs - restMs);
    const end = await grants.decided(grants.idOf(caller, name), version, waitMs, signal);
    return end === "denied" ? declined(name) : undefined;
  }

  async function callAs(
    caller: AccessCaller,
    given: McpRequest,
    context: CallContext,
    relay: (message: RelayedMessage) => void,
  ): Promise<Outcome> {
    const before = askedBefore(given);
    const asked = before ?? { asks: 0, version: 0 };
    let request = given;
    let left = context;
    if (before !== undefined) {
      const startedMs = options.clock.monotonicMs();
      const fault = await decided(given, caller, before, context);
      if (fault !== undefined) return { kind: "fault", fault };
      const spentMs = options.clock.monotonicMs() - startedMs;
      left = { ...context, timeoutMs: Math.max(1, context.timeoutMs - spentMs) };
      request = withoutAnswers(given);
    }
    const grant = await authority.find(caller);
    if (grant === undefined) return ask(given, caller, [], { ...asked, version: 0 });
    if (inFlight() >= maxInFlight) return { kind: "fault", fault: tooManyCalls(name, maxInFlight) };
    const user = seatOf(grant);
    if (!("client" in user)) return { kind: "fault", fault: user };
    const outcome = await user.client.call(request, left, relay);
    if (outcome.kind === "result") return outcome;
    if (user.credentials.isLost()) {
      seats.remove(grant.id);
      return ask(given, caller, [], { ...asked, version: 0 });
    }
    const missing = user.credentials.takeMissing();
    if (missing.length === 0) return outcome;
    return ask(given, caller, missing, { ...asked, version: grant.version });
  }

  async function call(
    request: McpRequest,
    context: CallContext,
    relay: (message: RelayedMessage) => void,
  ): Promise<Outcome> {
    const { caller } = context;
    if (caller === undefined) return { kind: "fault", fault: consentRequired(name) };
    if (caller.kind !== "user") return { kind: "fault", fault: noLogin(name) };
    try {
      const outcome = await callAs(caller, request, context, relay);
      void learnFacts(caller);
      return outcome;
    } catch (error) {
      return { kind: "fault", fault: faultOf(name, error) };
    }
  }

  async function learnFacts(caller: AccessCaller): Promise<void> {
    if (lastFacts !== undefined) return;
    const user = seats.find(grants.idOf(caller, name));
    if (user?.client.status().state !== "ready") return;
    lastFacts = await user.client.facts(AbortSignal.timeout(1_000)).catch(() => undefined);
  }

  async function catalogues(caller: AccessCaller | undefined): Promise<Catalogues | undefined> {
    const grant = caller?.kind === "user" ? await authority.find(caller) : undefined;
    const user = grant && seatOf(grant);
    return user !== undefined && "client" in user ? user.catalogues : undefined;
  }

  const inFlight = () => seats.all().reduce((sum, { client }) => sum + client.status().inFlight, 0);

  const client: PooledClient = {
    spec,
    call,
    /** Nobody's grant is used to follow changes for others. */
    listen: () => ({ honoured: Promise.resolve(emptyFilter), close() {} }),
    facts: async () => lastFacts ?? unknownFacts,
    status: () => ({ ...statusOf(name, seats.all()), inFlight: inFlight() }),
    parkedCalls: () => seats.all().reduce((sum, one) => sum + one.client.parkedCalls(), 0),
    async retire(drainTimeoutMs) {
      stopWatching();
      await seats.retire(drainTimeoutMs);
    },
    async close() {
      stopWatching();
      await seats.close();
    },
  };
  return {
    client,
    catalogues,
    knownCatalogues: (caller) =>
      caller === undefined ? undefined : seats.find(grants.idOf(caller, name))?.catalogues,
  };
}

/** The best that any user's client can say. */
function statusOf(name: string, users: readonly User[]): ServerStatus {
  const all = users.map(({ client }) => client.status());
  const best =
    all.find(({ state }) => state === "ready") ??
    all.find(({ state }) => state !== "idle") ??
    all.at(-1);
  const idle = {
    state: "idle",
    era: undefined,
    revision: undefined,
    lastError: undefined,
  } as const;
  return best ?? { name, ...idle, consecutiveFailures: 0, inFlight: 0, restarts: 0 };
}

function askedBefore({ params }: McpRequest): AskedBefore | undefined {
  const state = params && stringMember(params, "requestState");
  const [, asks, version] = stateForm.exec(state ?? "") ?? [];
  if (asks === undefined) return undefined;
  return { asks: Number(asks), version: Number(version) };
}

/** The server never asked, so it gets no answers. */
function withoutAnswers(request: McpRequest): McpRequest {
  if (request.params === undefined) return request;
  const params = withMembers(request.params, {
    inputResponses: undefined,
    requestState: undefined,
  });
  return { ...request, params };
}

function declined(server: string): Fault {
  const message = `Server ${server} needs its user's consent, which was declined`;
  return createFault("consent-required", message, { reason: "declined" });
}

function noLogin(server: string): Fault {
  const message =
    `Server ${server} is called in each user's own name: come with the token of a user whose issuer has a login ` +
    "configured here (identity.jwt.issuers, login)";
  return createFault("policy-denied", message, { reason: "no-user-login" });
}
