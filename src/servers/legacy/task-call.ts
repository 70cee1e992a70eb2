/**
 * A tool that runs as a task alone, called by an agent that knows no tasks: the task is made, waited for, and its
 * result handed back as if the tool had answered. To who sends it, it is one request; questions and progress of the
 * task are the call's. `held-tasks.ts` has the other way, for agents that ask for the task themselves.
 */
import type { Clock } from "../../lib/clock.ts";
import { stringMember } from "../../protocol/json-view.ts";
import type { Link } from "../connection.ts";
import { connectionLost, failed } from "../faults.ts";
import { renderCancellation, renderRequest } from "../outgoing.ts";
import type { WireAnswer, WireRequest } from "../wire.ts";
import { legacyHeaders } from "./session.ts";
import { createdTask, withoutRelatedTask } from "./task-messages.ts";

/** A call that is more than one request on the wire. */
export interface TaskCall {
  /** Never rejects. */
  perform(request: WireRequest): Promise<WireAnswer>;
  /** Whether a question is of this call: by the request on whose stream it came, or by the task it names. */
  owns(callId: number | undefined, taskId: string | undefined): boolean;
}

/** A stream that broke is opened again so often: the task itself goes on. */
const waitsMax = 3;
const cancelTimeoutMs = 5_000;

export function driveTask(server: string, link: Link, clock: Clock): TaskCall {
  const { wire } = link;
  const callIds = new Set<number>();
  let ownTask: string | undefined;

  async function perform(request: WireRequest): Promise<WireAnswer> {
    const startedMs = clock.monotonicMs();
    callIds.add(request.id);
    const answer = await wire.request(request);
    if (answer.kind !== "result") return answer;
    const task = createdTask(answer.body);
    if (task === undefined) return answer;
    const taskId = stringMember(task, "taskId") ?? "";
    ownTask = taskId;
    const { timeoutMs } = request;
    const leftMs = () =>
      timeoutMs === undefined ? undefined : timeoutMs - (clock.monotonicMs() - startedMs);
    return waitFor(taskId, request, leftMs);
  }

  async function waitFor(
    taskId: string,
    request: WireRequest,
    leftMs: () => number | undefined,
  ): Promise<WireAnswer> {
    for (let waits = 1; ; waits += 1) {
      const left = leftMs();
      const asked = resultRequest(link, taskId, request, left && Math.max(1, left));
      callIds.add(asked.id);
      const answer = await wire.request(asked);
      const isBroken = answer.kind === "fault" && answer.fault.name === "upstream-unreachable";
      if (isBroken && answer.status === undefined && wire.isOpen() && waits < waitsMax) continue;
      const isLeft = answer.kind === "fault" && !isBroken;
      if (isLeft) void wire.request(cancelRequest(link, taskId));
      return finalAnswer(server, answer);
    }
  }

  return {
    perform,
    owns(callId, taskId) {
      if (taskId !== undefined) return taskId === ownTask;
      return callId === undefined || callIds.has(callId);
    },
  };
}

/** Who waits; `id` is the call that became the task, where its progress is wanted. */
type ResultWait = Pick<WireRequest, "signal" | "onNotification"> & { readonly id?: number };

/** Asks for a task's result, which comes when the task is over; the server's questions come on its stream. */
export function resultRequest(
  link: Link,
  taskId: string,
  { signal, onNotification, id: callId }: ResultWait,
  timeoutMs: number | undefined,
): WireRequest {
  const own = taskRequest(link, "tasks/result", taskId);
  return {
    ...own,
    cancellation: renderCancellation(own.id),
    signal,
    timeoutMs,
    ...(callId !== undefined && { progressOf: callId }),
    onNotification,
  };
}

function cancelRequest(link: Link, taskId: string): WireRequest {
  return { ...taskRequest(link, "tasks/cancel", taskId), timeoutMs: cancelTimeoutMs };
}

/** A request of the gateway's own about a task. */
export function taskRequest({ wire, facts }: Link, method: string, taskId: string): WireRequest {
  const id = wire.nextId();
  return {
    id,
    method,
    text: renderRequest(id, method, JSON.stringify({ taskId })),
    headers: legacyHeaders(facts.revision),
    cancellation: undefined,
    signal: undefined,
    timeoutMs: undefined,
    onNotification: () => {},
  };
}

/** By now the tool has run: no answer may look like one to repeat the call for. */
function finalAnswer(server: string, answer: WireAnswer): WireAnswer {
  switch (answer.kind) {
    case "result":
      return { kind: "result", body: withoutRelatedTask(answer.body) };
    case "error":
      if (answer.status === 404) return failed(connectionLost(server, "session-lost"), true);
      return { ...answer, status: undefined };
    case "fault":
      return failed(answer.fault, true);
    default:
      return answer satisfies never;
  }
}
