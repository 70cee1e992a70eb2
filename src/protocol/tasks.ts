/**
 * The tasks extension of revision 2026-07-28 (reference section 2.9): who speaks it, and which results are tasks. A
 * server may answer a call with a task instead of its result; the agent then asks for the task. Pure.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import {
  findMember,
  type JsonObject,
  objectMember,
  readObject,
  stringMember,
} from "./json-view.ts";

export const tasksExtension = "io.modelcontextprotocol/tasks";

/** Source text of the capabilities of somebody who speaks it, and nothing else. */
export const tasksCapabilities = `{"extensions":{"${tasksExtension}":{}}}`;

/** Whether capabilities (source text; a client's or a server's) declare the extension. */
export function declaresTasks(capabilitiesText: string): boolean {
  if (!capabilitiesText.includes(tasksExtension)) return false;
  const extensions = objectMember(readObject(capabilitiesText), "extensions");
  return extensions !== undefined && objectMember(extensions, tasksExtension) !== undefined;
}

/** True for the answer to a call that goes on as a task. */
export function isTask(result: JsonObject): boolean {
  return stringMember(result, "resultType") === "task";
}

/** True for what is told of a task while it waits for the agent's side. */
export function isAskingTask(detail: JsonObject): boolean {
  return (
    stringMember(detail, "status") === "input_required" &&
    findMember(detail, "inputRequests") !== undefined
  );
}

/** The answer to an agent that asks for tasks and does not declare that it knows them. */
export const tasksUndeclared: Fault = createFault(
  "missing-client-capability",
  `Missing required client capability: ${tasksExtension}`,
  { data: { requiredCapabilities: { extensions: { [tasksExtension]: {} } } } },
);
