/**
 * Sessions of the older revisions, of all three bindings: bounded, ended when idle, withdrawn or deleted. A session
 * id is 256 random bits, is bound to principal, scope and binding, and is never a credential: whoever presents it
 * still authenticates (AZ-05, AZ-08). Unanswered questions to the client (`client-requests.ts`) and the changes it
 * hears of (`shared-listens.ts`, `subscriptions.ts`) hang off `LegacySession`.
 */

import { createHash } from "node:crypto";
import type { Principal } from "../../identity/principal.ts";
import type { Clock } from "../../lib/clock.ts";
import { randomSecret } from "../../lib/id.ts";
import type { BindingName, From } from "../../pipeline/incoming.ts";
import type { LegacyRevision } from "../../protocol/revisions.ts";
import type { Calls } from "../conversation.ts";
import type { AskedSession } from "./client-requests.ts";
import type { Outbox } from "./outbox.ts";
import type { SharingSession } from "./shared-listens.ts";
import type { SubscribingSession } from "./subscriptions.ts";

/** What is kept of whoever opened a session. */
export interface KeptFrom extends From {
  /** Digest of the credential: the quick way to know the owner again. */
  readonly digest: string;
}

export interface SessionOpening {
  readonly binding: BindingName;
  readonly scope: string;
  /** As negotiated by `initialize`; the SSE transport has a session before that. */
  readonly revision: LegacyRevision;
  readonly clientInfoText: string | undefined;
  /** What the client said it can do, in modern form: what servers are told of it. */
  readonly capabilitiesText: string;
  readonly principal: Principal;
  /** Where it was opened from, or last adopted under another credential. */
  readonly from: KeptFrom;
  /** The calls of the socket it lives on, where it lives on one. */
  readonly calls?: Calls;
}

/** A session. Each file whose state hangs off it says itself what that is, and what it needs of a session. */
export interface LegacySession extends AskedSession, SharingSession, SubscribingSession {
  readonly id: string;
  /** Names the session to operators without being the session's secret id. */
  readonly publicId: string;
  readonly binding: BindingName;
  readonly scope: string;
  readonly startedAtMs: number;
  /** The same by the monotonic clock. */
  readonly openedAtMs: number;
  readonly calls: Calls;
  revision: LegacyRevision;
  clientInfoText: string | undefined;
  capabilitiesText: string;
  principal: Principal;
  from: KeptFrom;
  /** Lowest log level the agent asked for; undefined = it wants no log messages. */
  logLevel: string | undefined;
  isInitialized: boolean;
  /** Somebody reads, or has read, what belongs to no request. */
  isHeard: boolean;
  usedAtMs: number;
  /**
   * Sends a message that belongs to no request, on the session's own stream or socket. On Streamable HTTP it is kept
   * while no stream is open. Undefined = the session has ended.
   */
  tell: ((text: string) => void) | undefined;
  /** Called when the session ends: closes its streams or its socket. */
  onEnd: ((why: SessionEnd) => void) | undefined;
  /** What is kept for its streams, on Streamable HTTP; made with the first stream or message. */
  outbox: Outbox | undefined;
}

export type SessionEnd =
  | "deleted"
  | "idle"
  | "expired"
  | "revoked"
  | "ended-by-operator"
  | "draining";

export interface SessionSummary {
  readonly id: string;
  readonly principalId: string;
  readonly clientId: string | undefined;
  readonly tenant: string | undefined;
  readonly binding: BindingName;
  readonly scope: string;
  readonly revision: string;
  readonly startedAtMs: number;
  readonly usedAtMs: number;
  readonly callsInFlight: number;
}

export interface Sessions {
  /** A new session; undefined where the bound is reached. */
  open(opening: SessionOpening): LegacySession | undefined;
  find(id: string, binding: BindingName, scope: string): LegacySession | undefined;
  end(session: LegacySession, why: SessionEnd): void;
  endByPublicId(publicId: string): boolean;
  /** Ends idle and expired sessions and those whose credential no longer holds. */
  sweep(isValid: (principal: Principal, from: From) => boolean): void;
  endAll(why: SessionEnd): void;
  list(): readonly SessionSummary[];
  size(): number;
}

export function createSessions(deps: {
  readonly clock: Clock;
  readonly sessionsMax: number;
  readonly sessionsPerPrincipalMax: number;
  readonly sessionIdleMs: number;
  readonly sessionMaxMs: number;
}): Sessions {
  const { clock } = deps;
  const byId = new Map<string, LegacySession>();
  const countByPrincipal = new Map<string, number>();

  function end(session: LegacySession, why: SessionEnd): void {
    if (!byId.delete(session.id)) return;
    addToCount(session.principal.id, -1);
    for (const call of session.calls.values()) call.abort();
    session.listChanges?.leave(session);
    session.subscriptions?.close();
    session.onEnd?.(why);
    session.onEnd = undefined;
    session.tell = undefined;
  }

  function addToCount(principalId: string, by: 1 | -1): void {
    const count = (countByPrincipal.get(principalId) ?? 0) + by;
    if (count === 0) countByPrincipal.delete(principalId);
    else countByPrincipal.set(principalId, count);
  }

  function isFull(principalId: string): boolean {
    const own = countByPrincipal.get(principalId) ?? 0;
    return byId.size >= deps.sessionsMax || own >= deps.sessionsPerPrincipalMax;
  }

  function isIdle(session: LegacySession): boolean {
    if (session.calls.size > 0 || isRead(session)) return false;
    return clock.monotonicMs() - session.usedAtMs > deps.sessionIdleMs;
  }

  function isExpired({ openedAtMs }: LegacySession): boolean {
    return clock.monotonicMs() - openedAtMs >= deps.sessionMaxMs;
  }

  /** Used or not, a session ends some day: whoever holds its id then opens another. */
  function endIdle(): void {
    for (const session of byId.values()) {
      if (isExpired(session)) end(session, "expired");
      else if (isIdle(session)) end(session, "idle");
    }
  }

  return {
    open(opening) {
      if (isFull(opening.principal.id)) endIdle();
      if (isFull(opening.principal.id)) return undefined;
      const id = randomSecret();
      // One by one: what else an opening carries, such as the whole request, is not kept for as long.
      const session: LegacySession = {
        id,
        publicId: createHash("sha256").update(id).digest("hex").slice(0, 32),
        binding: opening.binding,
        scope: opening.scope,
        revision: opening.revision,
        clientInfoText: opening.clientInfoText,
        capabilitiesText: opening.capabilitiesText,
        principal: opening.principal,
        from: opening.from,
        calls: opening.calls ?? new Map(),
        startedAtMs: clock.nowMs(),
        openedAtMs: clock.monotonicMs(),
        logLevel: undefined,
        isInitialized: false,
        // A socket and an SSE stream are read from the start.
        isHeard: opening.binding !== "http",
        usedAtMs: clock.monotonicMs(),
        tell: undefined,
        questions: undefined,
        listChanges: undefined,
        subscriptions: undefined,
        caller: undefined,
        onEnd: undefined,
        outbox: undefined,
      };
      byId.set(id, session);
      addToCount(session.principal.id, 1);
      return session;
    },
    find(id, binding, scope) {
      const session = byId.get(id);
      if (session === undefined || session.binding !== binding || session.scope !== scope) {
        return undefined;
      }
      if (isExpired(session)) {
        end(session, "expired");
        return undefined;
      }
      session.usedAtMs = clock.monotonicMs();
      return session;
    },
    end,
    endByPublicId(publicId) {
      for (const session of byId.values()) {
        if (session.publicId !== publicId) continue;
        end(session, "ended-by-operator");
        return true;
      }
      return false;
    },
    sweep(isValid) {
      endIdle();
      for (const session of byId.values()) {
        if (!isValid(session.principal, session.from)) end(session, "revoked");
      }
    },
    endAll(why) {
      for (const session of byId.values()) end(session, why);
    },
    list: () => [...byId.values()].map((session) => summarize(session, clock)),
    size: () => byId.size,
  };
}

/** A socket or an SSE stream is its session, and both end together; on Streamable HTTP streams come and go. */
function isRead({ binding, outbox }: LegacySession): boolean {
  return binding !== "http" || (outbox !== undefined && outbox.readers > 0);
}

function summarize(session: LegacySession, clock: Clock): SessionSummary {
  return {
    id: session.publicId,
    principalId: session.principal.id,
    clientId: session.principal.clientId,
    tenant: session.principal.tenant,
    binding: session.binding,
    scope: session.scope,
    revision: session.revision,
    startedAtMs: session.startedAtMs,
    usedAtMs: clock.nowMs() - Math.round(clock.monotonicMs() - session.usedAtMs),
    callsInFlight: session.calls.size,
  };
}
