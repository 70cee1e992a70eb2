/**
 * Tasks of revision 2025-11-25 and of the extension of 2026-07-28 in each other's words (reference sections 1.6 and
 * 4.4): capabilities, the tools that run as tasks alone, the task that a call became, and what is told of it. Pure.
 */
import {
  findMember,
  type JsonObject,
  memberText,
  objectMember,
  objectText,
  readObject,
  stringMember,
  withMembers,
} from "../../protocol/json-view.ts";
import type { McpRequest } from "../../protocol/messages.ts";
import { tasksExtension } from "../../protocol/tasks.ts";
import { membersText } from "../outgoing.ts";

const relatedTaskKey = "io.modelcontextprotocol/related-task";

/** How long a server is asked to keep a task, and the longest the gateway does, in milliseconds. */
export const taskTtlMs = 60 * 60_000;
export const taskParamText = `{"ttl":${taskTtlMs}}`;

/** Source text of a legacy server's capabilities with the extension where it can run tools as tasks, and only there. */
export function withTasksExtension(capabilities: JsonObject): string {
  const tasks = objectMember(capabilities, "tasks");
  const requests = tasks && objectMember(tasks, "requests");
  const tools = requests && objectMember(requests, "tools");
  const canRun = tools !== undefined && objectMember(tools, "call") !== undefined;
  const own = objectMember(capabilities, "extensions");
  const isClaimed = own !== undefined && findMember(own, tasksExtension) !== undefined;
  if (canRun === isClaimed) return objectText(capabilities);
  const change = { [tasksExtension]: canRun ? "{}" : undefined };
  const extensions = objectText(withMembers(own ?? readObject("{}"), change));
  return objectText(withMembers(capabilities, { extensions }));
}

/** Whether a tool (source text of its definition) must be called as a task. */
export function needsTask(toolText: string): boolean {
  if (!toolText.includes('"execution"')) return false;
  const execution = objectMember(readObject(toolText), "execution");
  return execution !== undefined && stringMember(execution, "taskSupport") === "required";
}

/** The task a call became; undefined where the server carried it out at once. */
export function createdTask(result: JsonObject): JsonObject | undefined {
  const task = objectMember(result, "task");
  return task !== undefined && stringMember(task, "taskId") !== undefined ? task : undefined;
}

/** The id of the task that a request of the server belongs to, where it names one. */
export function relatedTask(params: JsonObject | undefined): string | undefined {
  const meta = params && objectMember(params, "_meta");
  const related = meta && objectMember(meta, relatedTaskKey);
  return related && stringMember(related, "taskId");
}

/** An answer to such a request names the task, too. */
export function withRelatedTask(answer: JsonObject, taskId: string): JsonObject {
  const meta = objectMember(answer, "_meta") ?? readObject("{}");
  const related = JSON.stringify({ taskId });
  return withMembers(answer, {
    _meta: objectText(withMembers(meta, { [relatedTaskKey]: related })),
  });
}

/** Without the server's own word for its task, which means nothing to an agent. */
export function withoutRelatedTask(object: JsonObject): JsonObject {
  const meta = objectMember(object, "_meta");
  if (meta === undefined || findMember(meta, relatedTaskKey) === undefined) return object;
  const rest = membersText(meta, (key) => key !== relatedTaskKey);
  return withMembers(object, { _meta: rest === "" ? undefined : `{${rest}}` });
}

/** What the extension tells of a task; `more` are members (source text) that replace the task's own or come beside. */
export function toDetail(
  task: JsonObject,
  resultType: "task" | "complete",
  more: Readonly<Record<string, string>> = {},
): JsonObject {
  return withMembers(withoutRelatedTask(task), {
    resultType: `"${resultType}"`,
    ttl: undefined,
    pollInterval: undefined,
    ttlMs: memberText(task, "ttl") ?? "null",
    ...pollIntervalOf(task),
    ...more,
  });
}

function pollIntervalOf(task: JsonObject): Record<string, string> {
  const text = memberText(task, "pollInterval");
  return text === undefined ? {} : { pollIntervalMs: text };
}

/** The request about a task as a legacy server knows it: it takes no answers, so they begin with a look at the task. */
export function toLegacyTaskRequest(request: McpRequest): McpRequest {
  if (request.method !== "tasks/update") return request;
  const taskId = JSON.stringify(taskIdOf(request));
  return { ...request, method: "tasks/get", params: readObject(`{"taskId":${taskId}}`) };
}

export function taskIdOf({ params }: Pick<McpRequest, "params">): string {
  return (params && stringMember(params, "taskId")) ?? "";
}
