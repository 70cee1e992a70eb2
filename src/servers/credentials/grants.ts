/**
 * What users allowed: one grant for each tenant, user, client and server, sealed in the database, which nodes share, and
 * known here for a few seconds. A grant is renewed once, whoever asks and on whichever node, because a refresh token that
 * is used twice counts as stolen. Tokens leave this folder for their own server and its authorization server alone.
 */
import { createHash } from "node:crypto";
import { GatewayError } from "../../errors/fault.ts";
import type { CancelSignal } from "../../lib/cancellation.ts";
import type { Clock } from "../../lib/clock.ts";
import type { GrantStore, Store, StoredGrant } from "../../storage/store.ts";
import type { AccessCaller, GrantSummary } from "../user-access.ts";
import { type Grant, grantPlace, openGrant, summarizeGrant, summaryOf } from "./grant-shape.ts";
import { createGrantWaits, type WaitEnd } from "./grant-waits.ts";
import type { SecretSealer } from "./sealing.ts";
import type { IssuedToken } from "./token-request.ts";

export type GrantOwner = Omit<AccessCaller, "kind" | "issuer">;

export interface Grants {
  idOf(owner: GrantOwner, server: string): string;
  /** As of at most `freshMs` ago. While the database is away, what is known goes on for `staleMs`. */
  find(id: string): Grant | undefined | Promise<Grant | undefined>;
  /** In place of what was there. */
  save(grant: Omit<Grant, "id" | "version" | "updatedAtMs">): Promise<void>;
  /**
   * The grant with another access token than `used`; undefined where it no longer holds, and then it is gone. Rejects
   * where the authorization server cannot be asked.
   */
  renew(
    id: string,
    used: string,
    ask: (refreshToken: string) => Promise<IssuedToken>,
  ): Promise<Grant | undefined>;
  /** Whether there was one. */
  remove(id: string): Promise<boolean>;
  /** Resolves when the user has decided, on this node or another; `version` is what was there before. */
  decided(id: string, version: number, timeoutMs: number, signal: CancelSignal): Promise<WaitEnd>;
  denied(id: string): void;
  /** Calls back when a grant is gone, as far as this node knows; returns a stop function. */
  onGone(gone: (id: string) => void): () => void;
  list(query: Parameters<GrantStore["list"]>[0]): Promise<readonly GrantSummary[]>;
  /** For one operator's order; undefined where there is none. */
  summary(id: string): Promise<GrantSummary | undefined>;
}

const freshMs = 5_000;
const knownMax = 10_000;
const writesMax = 5;
const lockWaitMs = 10_000;
const lockPollMs = 100;

interface Known {
  readonly grant: Grant | undefined;
  readonly readAtMs: number;
}

export function createGrants(deps: {
  readonly store: Pick<Store, "grants" | "exclusively">;
  readonly sealer: SecretSealer;
  readonly clock: Clock;
  readonly staleMs: number;
  /** The authorization server no longer renews it. */
  readonly onOver?: (grant: GrantSummary) => void;
}): Grants {
  const { sealer, clock } = deps;
  const { grants: store, exclusively } = deps.store;
  /** Least recently used first. */
  const known = new Map<string, Known>();
  const reading = new Map<string, Promise<Grant | undefined>>();
  const renewing = new Map<string, Promise<Grant | undefined>>();
  const listeners = new Set<(id: string) => void>();
  const waits = createGrantWaits({ read: load, clock });

  const summarize = (stored: StoredGrant) => summarizeGrant(stored, sealer);

  function learn(id: string, grant: Grant | undefined): Grant | undefined {
    const before = known.get(id)?.grant;
    known.delete(id);
    known.set(id, { grant, readAtMs: clock.monotonicMs() });
    const [oldest] = known.size > knownMax ? known.keys() : [];
    if (oldest !== undefined) known.delete(oldest);
    if (grant === undefined && before !== undefined) for (const gone of listeners) gone(id);
    return grant;
  }

  async function load(id: string): Promise<Grant | undefined> {
    const stored = await store.read(id);
    return learn(id, stored && openGrant(stored, sealer));
  }

  function readOnce(id: string): Promise<Grant | undefined> {
    const running = reading.get(id);
    if (running !== undefined) return running;
    const started = load(id).finally(() => reading.delete(id));
    reading.set(id, started);
    return started;
  }

  async function find(id: string, stale: Known | undefined): Promise<Grant | undefined> {
    try {
      return await readOnce(id);
    } catch (error) {
      if (stale?.grant !== undefined && ageOf(stale) < deps.staleMs) return stale.grant;
      throw error;
    }
  }

  const ageOf = ({ readAtMs }: Known) => clock.monotonicMs() - readAtMs;

  /** False where another node wrote in between. */
  async function write(grant: Grant): Promise<boolean> {
    const { id, tenant, server, version } = grant;
    const updatedAtMs = clock.nowMs();
    const { id: _, version: __, updatedAtMs: ___, ...inner } = grant;
    const body = sealer.seal(grantPlace(id), JSON.stringify(inner));
    if (!(await store.write({ id, tenant, server, body, version, updatedAtMs }))) return false;
    learn(id, { ...grant, version: version + 1, updatedAtMs });
    return true;
  }

  async function renewOnce(
    id: string,
    used: string,
    ask: (refreshToken: string) => Promise<IssuedToken>,
  ): Promise<Grant | undefined> {
    const untilMs = clock.monotonicMs() + lockWaitMs;
    for (;;) {
      const done = await exclusively(`grant:${id}`, async () => ({
        grant: await renewAlone(id, used, ask),
      }));
      if (done !== undefined) return done.grant;
      // Another node is at it: what it gets is ours too.
      await new Promise((resolve) => setTimeout(resolve, lockPollMs));
      const grant = await load(id);
      if (grant?.accessToken !== used) return grant;
      if (clock.monotonicMs() > untilMs) throw busy();
    }
  }

  async function renewAlone(
    id: string,
    used: string,
    ask: (refreshToken: string) => Promise<IssuedToken>,
  ): Promise<Grant | undefined> {
    const grant = await load(id);
    if (grant === undefined || grant.accessToken !== used) return grant;
    const issued = grant.refreshToken === undefined ? undefined : await attempt(grant, ask);
    if (issued === undefined) {
      if (await store.remove(id, grant.version)) {
        deps.onOver?.(summaryOf(grant));
      }
      return load(id);
    }
    await write({
      ...grant,
      accessToken: issued.value,
      expiresAtMs: clock.nowMs() + issued.lifetimeMs,
      // Without rotation the old one goes on.
      refreshToken: issued.refreshToken ?? grant.refreshToken,
      scopes: issued.scopes ?? grant.scopes,
    });
    return load(id);
  }

  return {
    idOf: ({ tenant, id, clientId }, server) =>
      createHash("sha256")
        .update(JSON.stringify([tenant ?? null, id, clientId ?? null, server]))
        .digest("hex"),
    find(id) {
      const found = known.get(id);
      return found !== undefined && ageOf(found) < freshMs ? found.grant : find(id, found);
    },
    async save(grant) {
      const { principal: id, tenant, client: clientId } = grant;
      const grantId = this.idOf({ id, tenant, clientId }, grant.server);
      for (let attempts = 0; attempts < writesMax; attempts += 1) {
        const version = (await store.read(grantId))?.version ?? 0;
        if (await write({ ...grant, id: grantId, version, updatedAtMs: 0 })) {
          waits.end(grantId, "granted");
          return;
        }
      }
      throw busy();
    },
    renew(id, used, ask) {
      const running = renewing.get(id);
      if (running !== undefined) return running;
      const started = renewOnce(id, used, ask).finally(() => renewing.delete(id));
      renewing.set(id, started);
      return started;
    },
    async remove(id) {
      const was = await store.remove(id);
      learn(id, undefined);
      return was;
    },
    decided: waits.decided,
    denied: (id) => waits.end(id, "denied"),
    onGone(gone) {
      listeners.add(gone);
      return () => listeners.delete(gone);
    },
    list: async (query) => (await store.list(query)).map(summarize),
    async summary(id) {
      const stored = await store.read(id);
      return stored && summarize(stored);
    },
  };
}

/** Undefined where the refresh token is worth nothing any more. */
async function attempt(
  { refreshToken = "" }: Grant,
  ask: (refreshToken: string) => Promise<IssuedToken>,
): Promise<IssuedToken | undefined> {
  try {
    return await ask(refreshToken);
  } catch (error) {
    const isOver = error instanceof GatewayError && error.fault.reason === "oauth-invalid_grant";
    if (isOver) return undefined;
    throw error;
  }
}

function busy(): GatewayError {
  return new GatewayError("overloaded", "The user's authorization is being renewed elsewhere", {
    retryAfterMs: 1_000,
    reason: "grant-busy",
  });
}
