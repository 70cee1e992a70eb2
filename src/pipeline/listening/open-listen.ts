/**
 * One `subscriptions/listen` while it lasts: follows the servers of its plan, acknowledges first, then passes changes
 * on: list changes coalesced over all servers, updates of resources and tasks as they come. `listens.ts` keeps it; it makes a
 * new plan when told that the operators' state changed.
 */
import type { Clock } from "../../lib/clock.ts";
import type { CallFacts } from "../../policy/rule.ts";
import type { JsonObject } from "../../protocol/json-view.ts";
import { isEmptyFilter } from "../../protocol/listen-filter.ts";
import type { RelayedMessage } from "../../protocol/messages.ts";
import type { ServerChange, Servers } from "../../servers/client.ts";
import type { CurrentSnapshot, Snapshot } from "../../state/snapshot.ts";
import type { Exchange, ListenPlan } from "../exchange.ts";
import { type IdentifyDeps, identify, isFault, isStillValid } from "../identify.ts";
import type { From } from "../incoming.ts";
import { isOriginAllowed } from "../stages/authenticate.ts";
import { visibleScope } from "../stages/authorize.ts";
import { findTask } from "../task-access.ts";
import { type Followed, flagOf, honouredOf, isFollowed, startFollowing } from "./followed.ts";
import {
  acknowledgement,
  type ListKind,
  listChanged,
  listKinds,
  resourceUpdated,
  taskChanged,
} from "./listen-messages.ts";
import { type ListenQuestion, mayHear, type PlanDeps, planListen } from "./listen-plan.ts";
import { ownTasks, taskAsTold } from "./listened-tasks.ts";

export interface OpenListenDeps extends PlanDeps, IdentifyDeps {
  readonly servers: Pick<Servers, "get">;
  readonly current: Pick<CurrentSnapshot, "get">;
  readonly clock: Clock;
}

/** A listen that was authorised: who listens where, for what, and how it hears. */
export interface Listen extends ListenQuestion {
  /** Source text of the request's id. */
  readonly idText: string;
  /** Source text of what the listener declared. */
  readonly capabilitiesText: string;
  readonly plan: ListenPlan;
  readonly incoming: From & Pick<Exchange["incoming"], "origin">;
  readonly relay: (message: RelayedMessage) => void;
}

export interface OpenListen {
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  readonly clientId: string | undefined;
  end(): void;
  /** Ends it where its credential no longer holds. */
  recheck(): void;
  /** What this listener sees may have changed: it is told, and follows what it may follow now. */
  stateChanged(next: Snapshot): void;
}

/** Longest the acknowledgement waits for servers; one that is late is taken at its word for all of it. */
const honouredWaitMs = 2_000;
/** List changes of one kind within this time are one change. */
const coalesceMs = 50;
/** Updates kept until the acknowledgement is out, by URI or task. */
const heldMax = 256;

export function openListen(deps: OpenListenDeps, listen: Listen): OpenListen {
  const { idText, capabilitiesText, incoming, relay } = listen;
  const tasks = ownTasks(deps.taskIds, listen, listen.filter.taskIds);
  const followed = new Map<string, Followed>();
  const dueKinds = new Set<ListKind>();
  const held = new Map<string, RelayedMessage>();
  const ended = Promise.withResolvers<void>();
  let { principal, scope } = listen;
  /** What may be told: what was asked, and after the acknowledgement only what it said. */
  let wanted = listen.filter;
  let isAcknowledged = false;
  let isEnded = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let plans = 0;

  function callNow(): CallFacts {
    const { address: peer } = incoming.peer;
    return { argumentsText: undefined, peer, nowMs: deps.clock.nowMs() };
  }

  function follow(plan: ListenPlan): void {
    for (const [server, filter] of plan) {
      const client = deps.servers.get(server);
      const known = followed.get(server);
      if (client === undefined || isFollowed(known, client, filter)) continue;
      const listening = client.listen(filter, (change) => hear(server, change));
      followed.set(server, startFollowing(server, client, filter, listening, honouredWaitMs));
      // The new one first, so that nothing is missed in between.
      known?.listening.close();
    }
    for (const [server, { client, listening }] of followed) {
      if (plan.has(server) && deps.servers.get(server) === client) continue;
      listening.close();
      followed.delete(server);
    }
  }

  function hear(server: string, change: ServerChange): void {
    if (isEnded) return;
    switch (change.kind) {
      case "tools":
      case "prompts":
      case "resources":
        announce(change.kind);
        return;
      case "task":
        hearTask(server, change.taskId, change.params);
        return;
      case "resource": {
        if (!followed.get(server)?.filter.resourceSubscriptions.length) return;
        // It may be a part of what was subscribed to, so it is decided on its own.
        const asked = { scope, principal, snapshot: deps.current.get(), call: callNow() };
        if (!mayHear(asked, server, change.uri)) return;
        tell(change.uri, resourceUpdated(idText, change.params));
        return;
      }
      default:
        change satisfies never;
    }
  }

  /** A task may be forbidden since, as far as its tool is. */
  function hearTask(server: string, taskId: string, params: JsonObject): void {
    const outwardId = tasks.get(server)?.get(taskId);
    if (outwardId === undefined) return;
    const asked = { scope, principal, snapshot: deps.current.get(), call: callNow() };
    if (findTask(deps.taskIds, asked, outwardId) === undefined) return;
    const told = taskAsTold({ scope, capabilitiesText }, server, outwardId, params);
    tell(outwardId, taskChanged(idText, told));
  }

  /** Of each thing the latest, once the acknowledgement is out. */
  function tell(about: string, message: RelayedMessage): void {
    if (isAcknowledged) relay(message);
    else if (held.size < heldMax || held.has(about)) held.set(about, message);
  }

  function announce(kind: ListKind): void {
    if (!wanted[flagOf[kind]]) return;
    dueKinds.add(kind);
    if (isAcknowledged) timer ??= setTimeout(tellDue, coalesceMs);
  }

  function tellDue(): void {
    timer = undefined;
    for (const kind of dueKinds) relay(listChanged(idText, kind));
    dueKinds.clear();
  }

  async function acknowledge(): Promise<void> {
    await atMost(Promise.all([...followed.values()].map(({ known }) => known)), honouredWaitMs);
    if (isEnded) return;
    wanted = honouredOf(listen, [...followed.values()], tasks);
    isAcknowledged = true;
    relay(acknowledgement(idText, wanted));
    if (isEmptyFilter(wanted)) {
      end();
      return;
    }
    for (const message of held.values()) relay(message);
    held.clear();
    const early = [...dueKinds];
    dueKinds.clear();
    for (const kind of early) announce(kind);
  }

  async function planAnew(snapshot: Snapshot): Promise<void> {
    plans += 1;
    const own = plans;
    // Anew, because the roles a principal has from its registration are those of the state it was made in.
    const found = await identify(deps, incoming, snapshot);
    if (isEnded || own !== plans) return;
    const isWelcome = !isFault(found) && isOriginAllowed(found, snapshot, incoming.origin);
    const now = isWelcome ? visibleScope(snapshot, found, incoming.scope) : undefined;
    if (!isWelcome || now === undefined) {
      end();
      return;
    }
    principal = found;
    scope = now;
    const asked = { filter: wanted, scope, principal, snapshot, call: callNow() };
    const plan = await planListen(deps, asked);
    if (!isEnded && own === plans) follow(plan);
  }

  function end(): void {
    if (isEnded) return;
    isEnded = true;
    clearTimeout(timer);
    for (const { listening } of followed.values()) listening.close();
    followed.clear();
    ended.resolve();
  }

  follow(listen.plan);
  void acknowledge();
  // The state moved on while the listen was being authorised.
  const latest = deps.current.get();
  if (latest !== listen.snapshot) planAnew(latest).catch(end);

  return {
    ended: ended.promise,
    clientId: principal.clientId,
    end,
    recheck() {
      if (!isStillValid(deps, principal, incoming, deps.current.get())) end();
    },
    stateChanged(next) {
      for (const kind of listKinds) announce(kind);
      planAnew(next).catch(end);
    },
  };
}

async function atMost(waited: Promise<unknown>, ms: number): Promise<void> {
  const patience = Promise.withResolvers<void>();
  const timer = setTimeout(patience.resolve, ms);
  await Promise.race([waited, patience.promise]);
  clearTimeout(timer);
}
