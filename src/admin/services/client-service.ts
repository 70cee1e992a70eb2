/**
 * ClientService: registers the agents that may call, and issues, rotates and revokes their tokens. A token exists in
 * clear only in the answer that first shows it; the state holds its keyed digest.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { ClientService, Session } from "../../gen/types.ts";
import { createClientToken } from "../../identity/client-token.ts";
import type { SigningSecret } from "../../identity/proof/signing-key.ts";
import type { Clock } from "../../lib/clock.ts";
import { newId } from "../../lib/id.ts";
import { tokenShape } from "../../state/resource-shapes.ts";
import type { TokenResource } from "../../state/resources.ts";
import type { Caller } from "../caller.ts";
import type { StateWriter } from "../change-state.ts";
import { fromClient, fromToken, toClientResource } from "../convert/clients.ts";
import { needMessage } from "../convert/common.ts";
import { paginate } from "../page-token.ts";
import { createResourceCrud, needResource, writeAs } from "../resource-crud.ts";
import { issueSigningSecret } from "../signing-secret.ts";
import type { StateChange, StateView } from "../state-view.ts";
import { isOwn } from "../tenants.ts";

export interface SessionFacts {
  readonly id: string;
  readonly clientId: string | undefined;
  readonly principal: string;
  /** The principal's. */
  readonly tenant: string | undefined;
  readonly binding: string;
  readonly scope: string;
  readonly openedAtMs: number;
  readonly lastUsedAtMs: number;
}

export interface ClientServiceDeps {
  readonly state: StateWriter;
  readonly clock: Clock;
  /** Hex HMAC-SHA-256 under the node's token key. */
  readonly tokenDigest: (token: string) => string;
  /** The name of that key. */
  readonly tokenKeyId: string;
  readonly listSessions: () => Promise<readonly SessionFacts[]> | readonly SessionFacts[];
  /** The secret a client signs with, by client, key id and salt. */
  readonly signingSecret: SigningSecret;
  /** When tokens and clients were last used, by id; those never used are missing. */
  readonly lastUses: (
    kind: "token" | "client",
    ids: readonly string[],
  ) => Promise<ReadonlyMap<string, number>>;
  /** Whether there was one. */
  readonly endSession: (id: string) => Promise<boolean> | boolean;
}

const overlapSecondsMax = 30 * 86_400;
const tokenTtlSecondsMax = 10 * 365 * 86_400;
const tokensPerClientMax = 16;

export function createClientService(deps: ClientServiceDeps): ClientService<Caller> {
  const { state } = deps;
  const clients = createResourceCrud({
    state,
    kind: "client",
    noun: "client",
    nameOf: (client) => client.id,
    toResource: toClientResource,
    fromStored: fromClient,
    alsoDelete: (view, clientId) => tokensOf(view, clientId).map(deletion),
  });
  return {
    async registerClient(request, caller) {
      const client = needMessage(request.client, "client");
      const issued = issueToken(deps, client.id, request.token_ttl_seconds);
      const { message, state_revision } = await clients.create(client, request, caller, [
        issued.change,
      ]);
      return { client: message, state_revision, ...show(issued, request.validate_only) };
    },
    async getClient({ id }, caller) {
      const [client] = await stamped(deps, "client", [await clients.get(id, caller)]);
      return { client };
    },
    async listClients(request, caller) {
      const { messages, ...page } = await clients.list(request, caller);
      return { clients: await stamped(deps, "client", messages), ...page };
    },
    async updateClient(request, caller) {
      const client = needMessage(request.client, "client");
      const { message, state_revision } = await clients.update(client, request, caller);
      return { client: message, state_revision };
    },
    deleteClient: (request, caller) => clients.delete(request.id, request, caller),

    async rotateToken(request, caller) {
      const { client_id, overlap_seconds } = request;
      needRange("overlap_seconds", overlap_seconds, 0, overlapSecondsMax);
      const issued = issueToken(deps, client_id, request.token_ttl_seconds);
      const endsAtMs = deps.clock.nowMs() + overlap_seconds * 1000;
      const mutate = (view: StateView) => {
        needResource(view, "client", "client", client_id);
        const others = tokensOf(view, client_id);
        needRoomForToken(others.length);
        const ended = others.map((token) =>
          overlap_seconds === 0 ? deletion(token) : shortened(token, endsAtMs),
        );
        return [...ended, issued.change];
      };
      const { stateRevision } = await writeAs(state, mutate, request, caller);
      return { state_revision: stateRevision, ...show(issued, request.validate_only) };
    },
    issueSigningSecret: (request, caller) => issueSigningSecret(deps, request, caller),
    async revokeToken(request, caller) {
      const mutate = (view: StateView): readonly StateChange[] => {
        needResource(view, "token", "token", request.token_id);
        return [{ kind: "token", name: request.token_id, delete: true }];
      };
      const { stateRevision } = await writeAs(state, mutate, request, caller);
      return { state_revision: stateRevision };
    },
    async listTokens(request, caller) {
      const view = await state.read(caller);
      const found = view
        .list("token")
        .map(fromToken)
        .filter((token) => request.client_id === "" || token.client_id === request.client_id);
      const question = ["tokens", request.client_id, caller.tenant ?? null];
      const { page, nextPageToken } = paginate(found, (token) => token.id, question, request);
      const tokens = await stamped(deps, "token", page);
      return { tokens, next_page_token: nextPageToken, state_revision: view.stateRevision };
    },

    async listSessions(request, caller) {
      const found = (await ownSessions(deps, caller))
        .filter((one) => request.client_id === "" || one.clientId === request.client_id)
        .map(fromSession)
        .sort((a, b) => (a.id < b.id ? -1 : 1));
      const question = ["sessions", request.client_id, caller.tenant ?? null];
      const { page, nextPageToken } = paginate(found, (one) => one.id, question, request);
      return { sessions: page, next_page_token: nextPageToken };
    },
    async endSession({ id }, caller) {
      const own = (await ownSessions(deps, caller)).find((one) => one.id === id);
      if (own !== undefined && (await deps.endSession(id))) {
        if (own.tenant !== undefined) caller.note({ tenant: own.tenant });
        return {};
      }
      const message = "There is no such session";
      throw new GatewayError("resource-not-found", message, { reason: "not-found" });
    },
  };
}

/** With the times of last use, which are no part of the state. */
async function stamped<T extends { readonly id?: string }>(
  deps: Pick<ClientServiceDeps, "lastUses">,
  kind: "token" | "client",
  messages: readonly T[],
): Promise<readonly (T & { readonly last_used_at_ms: number | undefined })[]> {
  const ids = messages.map(({ id }) => id ?? "");
  const used = await deps.lastUses(kind, ids);
  return messages.map((message) => ({ ...message, last_used_at_ms: used.get(message.id ?? "") }));
}

async function ownSessions(
  { listSessions }: ClientServiceDeps,
  caller: Caller,
): Promise<readonly SessionFacts[]> {
  return (await listSessions()).filter(({ tenant }) => isOwn(caller, tenant));
}

interface IssuedToken {
  readonly token: string;
  readonly id: string;
  readonly change: StateChange;
}

function issueToken(
  { clock, tokenDigest, tokenKeyId }: ClientServiceDeps,
  clientId: string,
  ttlSeconds: number | undefined,
): IssuedToken {
  if (ttlSeconds !== undefined) needRange("token_ttl_seconds", ttlSeconds, 1, tokenTtlSecondsMax);
  const token = createClientToken();
  const nowMs = clock.nowMs();
  const body: TokenResource = {
    id: newId(),
    clientId,
    digest: tokenDigest(token),
    keyId: tokenKeyId,
    createdAtMs: nowMs,
    expiresAtMs: ttlSeconds === undefined ? undefined : nowMs + ttlSeconds * 1000,
  };
  return { token, id: body.id, change: { kind: "token", name: body.id, body } };
}

/** A dry run made no token, so it shows none. */
function show(issued: IssuedToken, validateOnly: boolean) {
  return validateOnly ? { token: "", token_id: "" } : { token: issued.token, token_id: issued.id };
}

function tokensOf(view: StateView, clientId: string): readonly TokenResource[] {
  return view
    .list("token")
    .map((stored) => tokenShape(stored.body, "token"))
    .filter((token) => token.clientId === clientId);
}

function deletion(token: TokenResource): StateChange {
  return { kind: "token", name: token.id, delete: true };
}

/** An overlap never lengthens a token's life. */
function shortened(token: TokenResource, endsAtMs: number): StateChange {
  const expiresAtMs = Math.min(token.expiresAtMs ?? endsAtMs, endsAtMs);
  return { kind: "token", name: token.id, body: { ...token, expiresAtMs } };
}

function needRoomForToken(count: number): void {
  if (count < tokensPerClientMax) return;
  throw new GatewayError(
    "invalid-params",
    `at most ${tokensPerClientMax} tokens for one client: revoke some first`,
  );
}

function needRange(field: string, value: number, min: number, max: number): void {
  if (value >= min && value <= max) return;
  throw new GatewayError("invalid-params", `${field}: must be from ${min} to ${max}`);
}

function fromSession(session: SessionFacts): Session {
  return {
    id: session.id,
    client_id: session.clientId ?? "",
    principal: session.principal,
    tenant: session.tenant ?? "",
    binding: session.binding,
    scope: session.scope,
    opened_at_ms: session.openedAtMs,
    last_used_at_ms: session.lastUsedAtMs,
  };
}
