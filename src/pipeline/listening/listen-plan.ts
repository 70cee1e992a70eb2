/**
 * Which servers a listener follows, and for what: the list changes of every server that it sees, and each URI and task at the
 * server it may read it from. Made when a listen begins, and again whenever the operators' state changed.
 */
import type { Principal } from "../../identity/principal.ts";
import type { CallFacts } from "../../policy/rule.ts";
import { emptyFilter, isEmptyFilter, type ListenFilter } from "../../protocol/listen-filter.ts";
import { includesUri } from "../../route/merge.ts";
import { serversOf } from "../../route/names.ts";
import type { Scope, Snapshot } from "../../state/snapshot.ts";
import type { ListenPlan } from "../exchange.ts";
import { unmetFault } from "../obligations.ts";
import type { ResourceOwners } from "../resource-owners.ts";
import type { TaskIds } from "../task-ids.ts";
import { ownTasks } from "./listened-tasks.ts";

export interface PlanDeps {
  readonly owners: ResourceOwners;
  readonly taskIds: TaskIds;
}

export interface ListenQuestion {
  readonly filter: ListenFilter;
  readonly scope: Scope;
  readonly principal: Principal;
  readonly snapshot: Snapshot;
  /** Where the listener is, and now. */
  readonly call: CallFacts;
}

/** URIs beyond this number are not honoured: each may cost a look at what a server has. */
export const listenUrisMax = 1_000;

export async function planListen(
  { owners, taskIds }: PlanDeps,
  asked: ListenQuestion,
): Promise<ListenPlan> {
  const { filter, scope, principal, snapshot } = asked;
  const uris = await ownedUris(owners, asked);
  const tasks = ownTasks(taskIds, asked, filter.taskIds);
  const plan = new Map<string, ListenFilter>();
  for (const server of serversOf(scope, snapshot.servers)) {
    if (!snapshot.policy.seesServer(principal, server)) continue;
    const wanted: ListenFilter = {
      ...emptyFilter,
      toolsListChanged: filter.toolsListChanged && contributes(scope, "tools", server),
      promptsListChanged: filter.promptsListChanged && contributes(scope, "prompts", server),
      resourcesListChanged: filter.resourcesListChanged && contributes(scope, "resources", server),
      resourceSubscriptions: uris.get(server) ?? [],
      taskIds: [...(tasks.get(server)?.keys() ?? [])],
    };
    if (!isEmptyFilter(wanted)) plan.set(server, wanted);
  }
  return plan;
}

/** Whether the principal may read this URI from this server here and now, owing nothing, and the scope shows it. */
export function mayHear(
  { scope, principal, snapshot, call }: Omit<ListenQuestion, "filter">,
  server: string,
  uri: string,
): boolean {
  if (!includesUri(scope, server, uri)) return false;
  const asked = { server, kind: "resource", target: uri, action: "read_resource", call } as const;
  const { allowed, obligations } = snapshot.policy.decide(principal, asked);
  return allowed && unmetFault(obligations, principal, call.nowMs) === undefined;
}

/** The URIs by their owners; one that may not be read, or that nobody has, is nowhere. */
async function ownedUris(
  owners: ResourceOwners,
  asked: ListenQuestion,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { filter, scope, snapshot } = asked;
  const owned = new Map<string, string[]>();
  for (const uri of new Set(filter.resourceSubscriptions.slice(0, listenUrisMax))) {
    const may = (server: string) => mayHear(asked, server, uri);
    const server = await owners.find({ scope, uri, snapshot, may });
    if (server === undefined) continue;
    const known = owned.get(server);
    if (known === undefined) owned.set(server, [uri]);
    else known.push(uri);
  }
  return owned;
}

function contributes(
  scope: Scope,
  kind: "tools" | "prompts" | "resources",
  server: string,
): boolean {
  return scope.kind !== "virtual" || scope.virtual[kind].some((member) => member.server === server);
}
