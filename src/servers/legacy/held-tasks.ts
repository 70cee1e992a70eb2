/**
 * Tasks of one legacy server that agents with the tasks extension ask for themselves (reference section 4.4): which
 * session a task lives on, its questions under keys that last as long as it does, and what is told of it. A task
 * nobody holds, as after a restart, is asked for like any other; only its questions are lost then.
 */

import type { Fault } from "../../errors/fault.ts";
import { Cancellation, type CancelSignal } from "../../lib/cancellation.ts";
import { type ClientFeatures, noFeatures } from "../../protocol/client-features.ts";
import { readInputResponses } from "../../protocol/input-required.ts";
import {
  type JsonObject,
  readObject,
  stringMember,
  withMembers,
} from "../../protocol/json-view.ts";
import type { McpNotification, McpRequest, Outcome } from "../../protocol/messages.ts";
import { toErrorBody } from "../answer.ts";
import type { Connection, Link } from "../connection.ts";
import { cancelled, failed, timedOut } from "../faults.ts";
import type { WireAnswer } from "../wire.ts";
import type { ParkedRoom } from "./parked-calls.ts";
import type { Session } from "./session-pool.ts";
import { resultRequest, type TaskCall, taskRequest } from "./task-call.ts";
import { createdTask, taskIdOf, taskTtlMs, toDetail, withoutRelatedTask } from "./task-messages.ts";
import { createTaskQuestions, type TaskQuestions } from "./task-questions.ts";
import { modernError } from "./to-legacy.ts";

/** Where a task lives. */
export interface TaskHome {
  readonly link: Link;
  readonly connection: Connection;
  readonly session: Session | undefined;
  readonly features: ClientFeatures;
}

export interface HeldTasks {
  homeOf(taskId: string): TaskHome | undefined;
  /** A call whose answer is the task it became; a fault where there is no room for one more. */
  begin(home: TaskHome, principalId: string | undefined): TaskCall | Fault;
  /** What the agent is told, given the server's answer to its request (`tasks/get` for an update). Never rejects. */
  tell(request: McpRequest, link: Link, answer: WireAnswer, limits: TellLimits): Promise<Outcome>;
  /** The server says that a task has changed. */
  statusTold(notification: McpNotification): void;
  /** Tasks of a session that is over are asked for elsewhere. */
  lost(link: Link): void;
  close(): void;
}

export interface TellLimits {
  readonly signal: CancelSignal;
  readonly timeoutMs: number;
}

interface Held {
  readonly taskId: string;
  readonly home: TaskHome;
  readonly questions: TaskQuestions;
  /** Ends what waits at the server for this task. */
  readonly ending: Cancellation;
  /** It is over: it takes no room any more, and where it lives is remembered for its agent. */
  readonly finish: () => void;
  readonly release: () => void;
  /** The answer to `tasks/result`, once that was asked. */
  result: Promise<WireAnswer> | undefined;
  /** Its listeners are being told of a change, and whether there was another meanwhile. */
  isTelling: boolean;
  isStale: boolean;
}

const invalidParams = -32602;
const lookTimeoutMs = 5_000;
/** Tasks that are over whose place is remembered; the oldest go first. */
const finishedMax = 1_000;
const endings = new Set(["completed", "failed", "cancelled"]);
const acknowledged: Outcome = Object.freeze({ kind: "result", result: readObject("{}") });

export function createHeldTasks(options: {
  readonly server: string;
  readonly room: ParkedRoom;
  /** Whether anybody listens to a task. */
  readonly isWanted: (taskId: string) => boolean;
  /** A change of one, in the extension's words. */
  readonly onChange: (notification: McpNotification) => void;
}): HeldTasks {
  const { server, room } = options;
  const held = new Map<string, Held>();
  /** In the order they were known to be over. */
  const finished = new Set<string>();

  function hold(home: TaskHome, taskId: string, leave: () => void): void {
    const { session } = home;
    held.get(taskId)?.release();
    const questions = createTaskQuestions(taskId, home);
    const ending = new Cancellation();
    const timer = setTimeout(() => held.get(taskId)?.release(), taskTtlMs);
    timer.unref();
    if (session !== undefined) session.tasks += 1;
    session?.calls.add(questions);
    let isOver = false;
    const finish = () => {
      if (isOver) return;
      isOver = true;
      questions.giveUp();
      session?.calls.delete(questions);
      if (session !== undefined) session.tasks -= 1;
      leave();
      finished.add(taskId);
      const [oldest] = finished.size > finishedMax ? finished : [];
      if (oldest !== undefined) held.get(oldest)?.release();
    };
    const release = () => {
      finish();
      held.delete(taskId);
      finished.delete(taskId);
      clearTimeout(timer);
      ending.abort();
    };
    const fresh = { result: undefined, isTelling: false, isStale: false };
    held.set(taskId, { taskId, home, questions, ending, finish, release, ...fresh });
  }

  /** Asks once for the result: it comes when the task is over, and the server asks its questions on the way. */
  function resultOf(one: Held): Promise<WireAnswer> {
    if (one.result !== undefined) return one.result;
    const { link } = one.home;
    const { signal } = one.ending;
    const asked = resultRequest(link, one.taskId, { signal, onNotification() {} }, undefined);
    one.questions.listenOn(asked.id);
    const result = link.wire.request(asked);
    one.result = result;
    void result.then(({ kind }) => {
      // Whoever asks for the task next asks for the result again.
      if (kind === "fault") one.result = undefined;
      one.questions.wake();
    });
    return result;
  }

  /** Tells listeners the whole of it, once more where it changed meanwhile. */
  async function tellListeners(one: Held): Promise<void> {
    const { link } = one.home;
    const limits = { signal: one.ending.signal, timeoutMs: lookTimeoutMs };
    do {
      one.isStale = false;
      const asked = { ...taskRequest(link, "tasks/get", one.taskId), ...limits };
      const answer = await link.wire.request(asked);
      if (answer.kind !== "result") return;
      const outcome = await tellDetail(one.taskId, link, answer.body, limits);
      if (outcome.kind !== "result" || limits.signal.aborted) return;
      const params = withMembers(outcome.result, { resultType: undefined, _meta: undefined });
      options.onChange({ kind: "notification", method: "notifications/tasks", params });
    } while (one.isStale);
  }

  async function tellDetail(
    taskId: string,
    link: Link,
    task: JsonObject,
    limits: TellLimits,
  ): Promise<Outcome> {
    const one = held.get(taskId);
    const status = stringMember(task, "status") ?? "";
    if (endings.has(status)) one?.finish();
    switch (status) {
      case "input_required": {
        if (one === undefined) return detail(task, { inputRequests: "{}" });
        void resultOf(one);
        // Who could be asked nothing when the task began is not asked now: the server is told so, and goes on.
        if (one.home.features !== noFeatures) await one.questions.first(limits);
        return detail(task, { inputRequests: one.questions.render() });
      }
      case "completed":
      case "failed": {
        const asked = resultRequest(
          link,
          taskId,
          { ...limits, onNotification() {} },
          limits.timeoutMs,
        );
        const result = one === undefined ? link.wire.request(asked) : resultOf(one);
        return tellEnd(task, await within(server, result, limits));
      }
      default:
        return detail(task, {});
    }
  }

  /** What a legacy server calls failed may be a result with an error in it, which counts as completed here. */
  function tellEnd(task: JsonObject, answer: WireAnswer): Outcome {
    switch (answer.kind) {
      case "result": {
        const { text, start, end } = withoutRelatedTask(answer.body);
        return detail(task, { status: '"completed"', result: text.slice(start, end) });
      }
      case "error": {
        const { code, message, dataText } = modernError(toErrorBody(answer));
        const more = dataText === undefined ? "" : `,"data":${dataText}`;
        const error = `{"code":${code},"message":${JSON.stringify(message)}${more}}`;
        return detail(task, { status: '"failed"', error });
      }
      case "fault":
        return { kind: "fault", fault: answer.fault };
      default:
        return answer satisfies never;
    }
  }

  /** A task that is over cannot be cancelled, and its agent has nothing to learn from that. */
  async function tellCancelled(taskId: string, link: Link, answer: WireAnswer): Promise<Outcome> {
    if (answer.kind === "result") {
      held.get(taskId)?.finish();
      return acknowledged;
    }
    if (answer.kind === "fault") return { kind: "fault", fault: answer.fault };
    const error = modernError(toErrorBody(answer));
    if (error.code !== invalidParams) return { kind: "error", error };
    const look = { ...taskRequest(link, "tasks/get", taskId), timeoutMs: lookTimeoutMs };
    const isThere = (await link.wire.request(look)).kind === "result";
    return isThere ? acknowledged : { kind: "error", error };
  }

  return {
    homeOf: (taskId) => held.get(taskId)?.home,
    begin(home, principalId = "") {
      const refusal = room.enter(principalId);
      if (refusal !== undefined) return refusal;
      return {
        async perform(request) {
          const answer = await home.link.wire.request(request);
          const task = answer.kind === "result" ? createdTask(answer.body) : undefined;
          if (task === undefined) {
            room.leave(principalId);
            return answer;
          }
          hold(home, taskIdOf({ params: task }), () => room.leave(principalId));
          return { kind: "result", body: toDetail(task, "task") };
        },
        owns: (callId, taskId) => callId === undefined && taskId === undefined,
      };
    },
    async tell(request, link, answer, limits) {
      const taskId = taskIdOf(request);
      if (request.method === "tasks/cancel") return tellCancelled(taskId, link, answer);
      if (answer.kind === "fault") return { kind: "fault", fault: answer.fault };
      if (answer.kind === "error") {
        return { kind: "error", error: modernError(toErrorBody(answer)) };
      }
      if (request.method === "tasks/get") return tellDetail(taskId, link, answer.body, limits);
      held.get(taskId)?.questions.answer(readInputResponses(request.params));
      return acknowledged;
    },
    statusTold({ params }) {
      const one = held.get(taskIdOf({ params }));
      if (one === undefined) return;
      if (params !== undefined && endings.has(stringMember(params, "status") ?? "")) one.finish();
      if (!options.isWanted(one.taskId)) return;
      one.isStale = true;
      if (one.isTelling) return;
      one.isTelling = true;
      void tellListeners(one).finally(() => {
        one.isTelling = false;
      });
    },
    lost(link) {
      for (const one of [...held.values()]) if (one.home.link === link) one.release();
    },
    close() {
      for (const one of [...held.values()]) one.release();
    },
  };
}

function detail(task: JsonObject, more: Readonly<Record<string, string>>): Outcome {
  return { kind: "result", result: toDetail(task, "complete", more) };
}

/** The answer, or why this agent did not wait for it. */
async function within(
  server: string,
  answer: Promise<WireAnswer>,
  { signal, timeoutMs }: TellLimits,
): Promise<WireAnswer> {
  const { promise, resolve } = Promise.withResolvers<WireAnswer>();
  const leave = () => resolve(failed(cancelled, true));
  const timer = setTimeout(() => resolve(failed(timedOut(server, timeoutMs), true)), timeoutMs);
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  const first = await Promise.race([answer, promise]);
  clearTimeout(timer);
  signal.removeEventListener("abort", leave);
  return first;
}
