/**
 * One server that a listener follows: what was asked of it, what it honours, which lists it has; and what all of them
 * together honour of a filter. `open-listen.ts` opens and closes them.
 */
import { objectMember, readObject } from "../../protocol/json-view.ts";
import { type ListenFilter, renderListenFilter } from "../../protocol/listen-filter.ts";
import type { Listening, ServerClient } from "../../servers/client.ts";
import { type ListKind, listKinds } from "./listen-messages.ts";
import type { ListenQuestion } from "./listen-plan.ts";
import type { ListenedTasks } from "./listened-tasks.ts";

export interface Followed {
  readonly server: string;
  readonly client: ServerClient;
  readonly filter: ListenFilter;
  readonly listening: Listening;
  /** Undefined until the server has said. */
  honoured: ListenFilter | undefined;
  /** The lists it has, whether it tells of their changes or not; undefined until it is known. */
  lists: readonly ListKind[] | undefined;
  /** Resolves when both are known, or cannot be. */
  readonly known: Promise<unknown>;
}

export const flagOf = {
  tools: "toolsListChanged",
  prompts: "promptsListChanged",
  resources: "resourcesListChanged",
} as const satisfies Record<ListKind, keyof ListenFilter>;

/** `waitMs` bounds how long it is asked what lists it has. */
export function startFollowing(
  server: string,
  client: ServerClient,
  filter: ListenFilter,
  listening: Listening,
  waitMs: number,
): Followed {
  const known = Promise.all([
    listening.honoured.then((honoured) => {
      one.honoured = honoured;
    }),
    client.facts(AbortSignal.timeout(waitMs)).then(
      ({ capabilitiesText }) => {
        const capabilities = readObject(capabilitiesText);
        one.lists = listKinds.filter((kind) => objectMember(capabilities, kind) !== undefined);
      },
      () => {},
    ),
  ]);
  const one: Followed = {
    server,
    client,
    filter,
    listening,
    known,
    honoured: undefined,
    lists: undefined,
  };
  return one;
}

export function isFollowed(
  known: Followed | undefined,
  client: ServerClient,
  filter: ListenFilter,
): boolean {
  if (known === undefined || known.client !== client) return false;
  return renderListenFilter(known.filter) === renderListenFilter(filter);
}

/**
 * The union of what the servers honour. A list is the gateway's own as well, since it changes with servers that come
 * and go and with policy: it is honoured wherever there is one, whatever its server can tell.
 */
export function honouredOf(
  { filter, scope }: Pick<ListenQuestion, "filter" | "scope">,
  followed: readonly Followed[],
  tasks: ListenedTasks,
): ListenFilter {
  const isMerged = scope.kind !== "server";
  const flag = (kind: ListKind) => {
    const key = flagOf[kind];
    const has = ({ honoured, lists }: Followed) =>
      honoured === undefined || honoured[key] || lists?.includes(kind);
    return filter[key] && (isMerged || followed.some((one) => one.filter[key] && has(one)));
  };
  const uris = new Set(
    followed.flatMap(({ filter: asked, honoured = asked }) => {
      const told = new Set(honoured.resourceSubscriptions);
      return asked.resourceSubscriptions.filter((uri) => told.has(uri));
    }),
  );
  const told = new Set(
    followed.flatMap(({ server, filter: asked, honoured = asked }) => {
      const names = tasks.get(server);
      return honoured.taskIds.flatMap((taskId) => names?.get(taskId) ?? []);
    }),
  );
  return {
    toolsListChanged: flag("tools"),
    promptsListChanged: flag("prompts"),
    resourcesListChanged: flag("resources"),
    resourceSubscriptions: filter.resourceSubscriptions.filter((uri) => uris.delete(uri)),
    taskIds: filter.taskIds.filter((outwardId) => told.delete(outwardId)),
  };
}
