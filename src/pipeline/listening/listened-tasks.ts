/**
 * The tasks that one listener follows: whose they are, under which id it knows each, and what it is told of a change.
 * A task it may not hear of is left out, as if there were none; each change is decided anew.
 */
import { canAsk, readClientFeatures } from "../../protocol/client-features.ts";
import { nameAsker, readInputRequired } from "../../protocol/input-required.ts";
import { type JsonObject, withMembers } from "../../protocol/json-view.ts";
import { isAskingTask } from "../../protocol/tasks.ts";
import { findTask, type TaskQuestion } from "../task-access.ts";
import type { TaskIds } from "../task-ids.ts";

/** By server and the server's own id: the id the listener knows it by. */
export type ListenedTasks = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Ids beyond this number are not honoured. */
export const listenTasksMax = 1_000;

export function ownTasks(
  taskIds: TaskIds,
  asked: TaskQuestion,
  given: readonly string[],
): ListenedTasks {
  const byServer = new Map<string, Map<string, string>>();
  for (const outwardId of given.slice(0, listenTasksMax)) {
    const task = findTask(taskIds, asked, outwardId);
    if (task === undefined) continue;
    const known = byServer.get(task.server);
    if (known !== undefined) known.set(task.taskId, outwardId);
    else byServer.set(task.server, new Map([[task.taskId, outwardId]]));
  }
  return byServer;
}

/**
 * What the listener is told of its task. Questions that it did not declare it can answer stay behind: it learns what
 * it lacks when it asks for the task.
 */
export function taskAsTold(
  { scope, capabilitiesText }: Pick<TaskQuestion, "scope"> & { readonly capabilitiesText: string },
  server: string,
  outwardId: string,
  params: JsonObject,
): JsonObject {
  const named = withMembers(params, { taskId: JSON.stringify(outwardId) });
  if (!isAskingTask(named)) return named;
  const features = readClientFeatures(capabilitiesText);
  const requests = readInputRequired(named)?.requests ?? [];
  const isDeclared = requests.every((one) => canAsk(features, one.method, one.params));
  if (!isDeclared) return withMembers(named, { inputRequests: undefined });
  return scope.kind === "server" ? named : nameAsker(named, server);
}
