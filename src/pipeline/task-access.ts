/**
 * Tasks under the names agents know them by: whose task an id stands for, whether its principal may still call the
 * tool, and on the way back the outward id in place of the server's. An id that is made up, another principal's, or of
 * a tool since forbidden is unknown, in the same words (AZ-07).
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { Principal } from "../identity/principal.ts";
import type { CallFacts, Decision } from "../policy/rule.ts";
import { findMember, memberText, stringMember, withMembers } from "../protocol/json-view.ts";
import type { McpRequest, Outcome } from "../protocol/messages.ts";
import { declaresTasks, isTask, tasksUndeclared } from "../protocol/tasks.ts";
import { exposeName } from "../route/names.ts";
import type { Scope, Snapshot } from "../state/snapshot.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { type Exchange, proceed, refuse, type Verdict } from "./exchange.ts";
import { unmetFault } from "./obligations.ts";
import type { ServerTask, TaskIds } from "./task-ids.ts";

export interface TaskAccessDeps {
  readonly taskIds: TaskIds;
  readonly metrics: Metrics;
}

/** Who asks for tasks, and where. */
export interface TaskQuestion {
  readonly scope: Scope;
  readonly principal: Principal;
  readonly snapshot: Snapshot;
  /** Of the request that asks, not of the call that began the task. */
  readonly call: CallFacts;
}

/** Authorize's word on a request about a task. */
export function authorizeTask(
  deps: TaskAccessDeps,
  x: Exchange,
  asked: TaskQuestion,
  { method, params, envelope }: McpRequest,
): Verdict {
  if (!declaresTasks(envelope.clientCapabilitiesText)) return refuse(tasksUndeclared);
  const given = params && stringMember(params, "taskId");
  if (given === undefined) {
    const message = `Invalid params: ${method} needs the string taskId`;
    return refuse(createFault("invalid-params", message));
  }
  const task = deps.taskIds.open(ownerOf(asked.principal), given);
  if (task === undefined) return refuse(taskUnknown("handle-mismatch"));
  x.resolved = { server: task.server, name: task.tool };
  x.taskId = task.taskId;
  if (!isInScope(asked, task)) return refuse(taskUnknown("not-in-scope"));
  x.decision = decideTask(asked, task);
  if (x.decision.allowed) {
    const unmet = unmetFault(x.decision.obligations, asked.principal, asked.call.nowMs);
    return unmet === undefined ? proceed : refuse(unmet);
  }
  deps.metrics.count("mcp_gateway_policy_denials_total", { server: task.server });
  return refuse(taskUnknown(x.decision.ruleId));
}

/**
 * The task behind an outward id, where the principal may hear of it here and now. One whose results must be redacted
 * by a profile is not told of: its agent asks for it, and is answered by the pipeline's own stages.
 */
export function findTask(
  taskIds: TaskIds,
  asked: TaskQuestion,
  given: string,
): ServerTask | undefined {
  const task = taskIds.open(ownerOf(asked.principal), given);
  if (task === undefined || !isInScope(asked, task)) return undefined;
  const { allowed, obligations } = decideTask(asked, task);
  if (!allowed || obligations?.redaction !== undefined) return undefined;
  const unmet = unmetFault(obligations, asked.principal, asked.call.nowMs);
  return unmet === undefined ? task : undefined;
}

/** What a server says of a task, or of a call that became one, under the id its agent knows. */
export function nameTask(taskIds: TaskIds, x: Exchange, outcome: Outcome): Outcome {
  if (x.method?.isAboutTask) return nameAnswer(x, outcome);
  if (outcome.kind !== "result" || x.method?.method !== "tools/call") return outcome;
  const { result } = outcome;
  if (!isTask(result) || x.principal === undefined || x.resolved === undefined) return outcome;
  const taskId = stringMember(result, "taskId");
  const { server, name: tool } = x.resolved;
  const sealed = taskId && taskIds.seal(ownerOf(x.principal), { server, tool, taskId });
  if (!sealed) {
    const message = "The server answered with a task that has no usable id";
    return {
      kind: "fault",
      fault: createFault("upstream-invalid", message, { reason: "task-id" }),
    };
  }
  return { kind: "result", result: withMembers(result, { taskId: `"${sealed}"` }) };
}

const invalidParamsCode = -32602;

function nameAnswer(x: Exchange, outcome: Outcome): Outcome {
  if (outcome.kind === "error") {
    // What is wrong with an update may be its answers; of the others it can only be the id.
    const isUnknown =
      outcome.error.code === invalidParamsCode && x.request?.method !== "tasks/update";
    return isUnknown ? { kind: "fault", fault: taskUnknown("not-found") } : outcome;
  }
  if (outcome.kind !== "result") return outcome;
  const { result } = outcome;
  const given = x.request?.params && memberText(x.request.params, "taskId");
  const changes: Record<string, string | undefined> = {};
  if (findMember(result, "taskId") !== undefined) changes.taskId = given;
  // Two examples of the extension show it so; its text and its schema do not.
  if (isTask(result)) changes.resultType = '"complete"';
  if (Object.keys(changes).length === 0) return outcome;
  return { kind: "result", result: withMembers(result, changes) };
}

/** The request as its server must get it. */
export function withServerTask(request: McpRequest, taskId: string): McpRequest {
  const { params } = request;
  if (params === undefined) return request;
  return { ...request, params: withMembers(params, { taskId: JSON.stringify(taskId) }) };
}

function isInScope({ scope, snapshot }: TaskQuestion, { server, tool }: ServerTask): boolean {
  if (!snapshot.servers.has(server)) return false;
  if (scope.kind === "server") return scope.name === server;
  return exposeName(scope, "tool", server, tool) !== undefined;
}

/**
 * Its arguments were decided when the call began, and are not kept: what follows needs that some call of the tool is
 * allowed still, and owes what such a call owes.
 */
function decideTask({ principal, snapshot }: TaskQuestion, { server, tool }: ServerTask): Decision {
  const question = { server, kind: "tool", target: tool, action: "invoke_tool" } as const;
  return snapshot.policy.decide(principal, question);
}

function ownerOf({ tenant, id }: Principal) {
  return { tenant, principalId: id };
}

function taskUnknown(reason: string): Fault {
  return createFault("target-hidden", "Unknown task", { reason });
}
