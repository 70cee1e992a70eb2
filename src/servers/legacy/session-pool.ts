/**
 * Sessions with one legacy server for agents that can be asked something (reference section 4.1): a session declares
 * its client's capabilities once, so over a network each set of capabilities has sessions of its own. A process is one
 * session for everybody and declares all that the gateway can carry, since what it remembers must not depend on what
 * an agent declares; each call is still asked only what its own agent declared. Calls that may ask get a session to
 * themselves while there are any; a question outside a call's own stream then has one owner. Where calls share a
 * session, such a question is refused and never guessed at.
 */

import { createFault } from "../../errors/fault.ts";
import type { CancelSignal } from "../../lib/cancellation.ts";
import type { Clock } from "../../lib/clock.ts";
import { type ClientFeatures, renderLegacyCapabilities } from "../../protocol/client-features.ts";
import { memberText } from "../../protocol/json-view.ts";
import type { McpNotification } from "../../protocol/messages.ts";
import type { Connection, Link, ServerRequest } from "../connection.ts";
import { errorOf } from "../faults.ts";
import type { Wire } from "../wire.ts";
import type { Asking } from "./live-call.ts";
import { answerHomeless, answerUnasked } from "./questions.ts";
import { legacyHeaders } from "./session.ts";
import { relatedTask } from "./task-messages.ts";

export interface Session {
  readonly connection: Connection;
  /** Calls on this session that may ask something, and tasks that their agents ask for. */
  readonly calls: Set<Asking>;
  /** Uses that hold the session open, counted by `take` and `release`. */
  users: number;
  /** Tasks that live on it: they keep it open and share it with calls. */
  tasks: number;
  lastUsedMs: number;
}

/** Makes one session's connection; its handlers get what belongs to no answer. */
export type Connect = (
  clientCapabilitiesText: string,
  onRequest: (asked: ServerRequest) => void,
  onNotification: (notification: McpNotification, wire: Wire) => void,
) => Connection;

export interface SessionPool {
  /** Makes the server's main connection a session too, the first for these features. */
  adopt(features: ClientFeatures, connect: Connect): Connection;
  /** A session for these features, held until released. Throws GatewayError where every place is taken. */
  take(features: ClientFeatures, mayAsk: boolean): Session;
  /** Its open link; connects where needed. Rejects with GatewayError. */
  link(session: Session, signal: CancelSignal, timeoutMs: number): Promise<Link>;
  release(session: Session): void;
  /** Of all sessions but the adopted one. */
  restarts(): number;
  close(): Promise<void>;
}

export interface SessionPoolOptions {
  readonly server: string;
  readonly clock: Clock;
  /** Sessions with the same capabilities; 1 = calls share it. */
  readonly sessionsMax: number;
  /** Over all sets of capabilities; past it the session longest unused makes room. */
  readonly allSessionsMax: number;
  /** Idle sessions are closed; a process is not, for what it remembers would be gone. */
  readonly closesIdle: boolean;
  readonly connect: Connect;
  /** What the server said on a session's own stream may have been missed. */
  readonly onGap: () => void;
}

const idleMs = 30 * 60_000;
const sweepMs = 60_000;
const busyRetryAfterMs = 1_000;

export function createSessionPool(options: SessionPoolOptions): SessionPool {
  const { clock } = options;
  const groups = new Map<string, Session[]>();
  let sweeping: ReturnType<typeof setTimeout> | undefined;
  let closedRestarts = 0;
  let adopted: Session | undefined;

  function open(key: string, features: ClientFeatures, connect = options.connect): Session {
    const calls = new Set<Asking>();
    const connection = connect(
      key,
      (asked) => takeRequest(asked, calls, features),
      (notification, wire) => withdraw(notification, calls, wire),
    );
    const session: Session = {
      connection,
      calls,
      users: 0,
      tasks: 0,
      lastUsedMs: clock.monotonicMs(),
    };
    groups.set(key, [...(groups.get(key) ?? []), session]);
    sweeping ??= setTimeout(sweep, sweepMs).unref();
    return session;
  }

  function all(): readonly Session[] {
    return [...groups.values()].flat();
  }

  function discard(session: Session): void {
    for (const [key, group] of groups) {
      const rest = group.filter((one) => one !== session);
      if (rest.length === 0) groups.delete(key);
      else groups.set(key, rest);
    }
    closedRestarts += session.connection.restarts();
    void session.connection.close();
  }

  function makeRoom(): boolean {
    const sessions = all();
    if (sessions.length < options.allSessionsMax) return true;
    const idle = sessions.filter(isIdle);
    const oldest = idle.sort((a, b) => a.lastUsedMs - b.lastUsedMs)[0];
    if (oldest !== undefined) discard(oldest);
    return oldest !== undefined;
  }

  function sweep(): void {
    sweeping = undefined;
    const untilMs = clock.monotonicMs() - idleMs;
    if (options.closesIdle) {
      for (const one of all()) if (isIdle(one) && one.lastUsedMs < untilMs) discard(one);
    }
    if (groups.size > 0) sweeping = setTimeout(sweep, sweepMs).unref();
  }

  function pick(features: ClientFeatures, mayAsk: boolean): Session {
    const key = renderLegacyCapabilities(features);
    const group = groups.get(key) ?? [];
    const free = mayAsk ? group.find((one) => one.users === 0) : group[0];
    if (free !== undefined) return free;
    if (group.length < options.sessionsMax && makeRoom()) return open(key, features);
    const [first, ...others] = group;
    if (first !== undefined) {
      return others.reduce((least, one) => (one.users < least.users ? one : least), first);
    }
    const message = `Server ${options.server} has no room for another kind of client`;
    const more = { retryAfterMs: busyRetryAfterMs, reason: "sessions-full" };
    throw errorOf(createFault("too-many-in-flight", message, more));
  }

  return {
    adopt(features, connect) {
      adopted = open(renderLegacyCapabilities(features), features, connect);
      return adopted.connection;
    },
    take(features, mayAsk) {
      const session = pick(features, mayAsk);
      session.users += 1;
      return session;
    },
    async link(session, signal, timeoutMs) {
      const { connection } = session;
      const link = connection.current() ?? (await connection.open(signal, timeoutMs));
      // Servers put questions there when they name no request they belong to.
      link.wire.openStream?.(legacyHeaders(link.facts.revision), options.onGap);
      return link;
    },
    release(session) {
      session.users -= 1;
      session.lastUsedMs = clock.monotonicMs();
    },
    restarts() {
      const own = all().filter((one) => one !== adopted);
      return own.reduce((sum, one) => sum + one.connection.restarts(), closedRestarts);
    },
    async close() {
      clearTimeout(sweeping);
      const sessions = all();
      groups.clear();
      await Promise.allSettled(sessions.map((one) => one.connection.close()));
    },
  };
}

function isIdle({ users, tasks }: Session): boolean {
  return users === 0 && tasks === 0;
}

/** The call a question belongs to: the one on whose stream it came, else the only one there is. */
function takeRequest(
  asked: ServerRequest,
  calls: ReadonlySet<Asking>,
  features: ClientFeatures,
): void {
  const { callId, request, wire } = asked;
  const taskId = relatedTask(request.params);
  const candidates = [...calls].filter(
    (call) => call.link.wire === wire && call.owns(callId, taskId),
  );
  const [only, ...others] = candidates;
  if (only !== undefined && others.length === 0) only.ask(asked);
  else asked.respond(answerUnasked(request, features) ?? answerHomeless(request));
}

function withdraw(
  { method, params }: McpNotification,
  calls: ReadonlySet<Asking>,
  wire: Wire,
): void {
  if (method !== "notifications/cancelled" || params === undefined) return;
  const idText = memberText(params, "requestId");
  if (idText === undefined) return;
  for (const call of calls) if (call.link.wire === wire) call.withdraw(idText);
}
