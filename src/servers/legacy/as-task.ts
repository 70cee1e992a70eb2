/**
 * Which calls of a legacy server must be made as tasks, and how: driven to their end, or handed on as a task to an agent
 * that declares the extension with this very call. Tools that may run either way run plainly.
 */
import type { Fault } from "../../errors/fault.ts";
import type { Clock } from "../../lib/clock.ts";
import { stringMember } from "../../protocol/json-view.ts";
import type { McpRequest } from "../../protocol/messages.ts";
import { declaresTasks } from "../../protocol/tasks.ts";
import type { CallContext } from "../client.ts";
import type { HeldTasks, TaskHome } from "./held-tasks.ts";
import { driveTask, type TaskCall } from "./task-call.ts";

export interface AsTaskDeps {
  readonly server: string;
  readonly tasks: HeldTasks;
  /** Whether a tool runs as a task alone, as a client that declares this (source text) lists it. */
  readonly needsTask: (tool: string, clientCapabilitiesText: string) => boolean;
  readonly clock: Clock;
}

/** Undefined for a plain call; a fault where there is no room for another task. */
export function asTask(
  { server, tasks, needsTask, clock }: AsTaskDeps,
  home: TaskHome,
  { method, params, envelope }: McpRequest,
  { principalId }: Pick<CallContext, "principalId">,
): TaskCall | Fault | undefined {
  const { facts } = home.link;
  if (method !== "tools/call" || facts.era !== "legacy") return undefined;
  if (!declaresTasks(facts.capabilitiesText)) return undefined;
  const declared = envelope.clientCapabilitiesText;
  const tool = params && stringMember(params, "name");
  if (tool === undefined || !needsTask(tool, declared)) return undefined;
  return declaresTasks(declared)
    ? tasks.begin(home, principalId)
    : driveTask(server, home.link, clock);
}
