/**
 * What a request acts on, and with which arguments, for the methods that name a target. Every way to an object comes
 * through here with the same question, so that policy decides them alike (AZ-10).
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { Action, CallFacts } from "../policy/rule.ts";
import {
  type JsonObject,
  memberText,
  objectMember,
  objectText,
  readObject,
  stringMember,
  withMembers,
} from "../protocol/json-view.ts";
import type { McpRequest } from "../protocol/messages.ts";
import type { MethodFacts, TargetKind } from "../protocol/methods.ts";
import type { Exchange } from "./exchange.ts";

export interface NamedTarget {
  readonly kind: TargetKind;
  /** The name or URI as the agent wrote it. */
  readonly given: string;
  readonly action: Action;
  /** Source text of the arguments, an object; undefined where there are none. */
  readonly argumentsText: string | undefined;
}

/** What it takes to use a target of each kind. */
export const actions: Readonly<Record<TargetKind, Action>> = {
  tool: "invoke_tool",
  prompt: "get_prompt",
  resource: "read_resource",
};

/** What conditions may look at besides the principal; of a listen there are no arguments. */
export function callFacts(x: Exchange, argumentsText?: string): CallFacts {
  return { argumentsText, peer: x.incoming.peer.address, nowMs: x.receivedAtMs };
}

export function namedTarget(
  method: MethodFacts,
  request: McpRequest,
): NamedTarget | { readonly fault: Fault } | undefined {
  const { params } = request;
  if (method.method === "completion/complete") return completionTarget(params);
  if (method.nameMember === undefined || method.target === undefined) return undefined;
  const given = params && stringMember(params, method.nameMember);
  if (given === undefined) {
    const message = `Invalid params: ${method.method} needs the string ${method.nameMember}`;
    return { fault: createFault("invalid-params", message) };
  }
  const argumentsText = params && memberText(params, "arguments");
  // What conditions read by name must have names; and no server has to take anything else.
  if (argumentsText !== undefined && argumentsText !== "null" && !argumentsText.startsWith("{")) {
    const message = `Invalid params: the arguments of ${method.method} must be an object`;
    return { fault: createFault("invalid-params", message, { reason: "arguments-no-object" }) };
  }
  const isGiven = argumentsText !== "null";
  return {
    kind: method.target,
    given,
    action: actions[method.target],
    argumentsText: isGiven ? argumentsText : undefined,
  };
}

/** A completion reveals values of its prompt or resource, so it needs the same right (AZ-10). */
function completionTarget(params: JsonObject | undefined): NamedTarget | { readonly fault: Fault } {
  const ref = params && objectMember(params, "ref");
  const type = ref && stringMember(ref, "type");
  const argumentsText = params && completedArguments(params);
  const prompt = ref && stringMember(ref, "name");
  if (type === "ref/prompt" && prompt !== undefined) {
    return { kind: "prompt", given: prompt, action: actions.prompt, argumentsText };
  }
  const uri = ref && stringMember(ref, "uri");
  if (type === "ref/resource" && uri !== undefined) {
    return { kind: "resource", given: uri, action: actions.resource, argumentsText };
  }
  const message =
    "Invalid params: ref must be a ref/prompt with a name or a ref/resource with a uri";
  return { fault: createFault("invalid-params", message) };
}

/** The arguments as far as they are filled in, the one being completed as it stands. */
function completedArguments(params: JsonObject): string | undefined {
  const context = objectMember(params, "context");
  const filled = context && objectMember(context, "arguments");
  const argument = objectMember(params, "argument");
  const name = argument && stringMember(argument, "name");
  if (name === undefined) return filled && objectText(filled);
  const value = (argument && memberText(argument, "value")) ?? "null";
  return objectText(withMembers(filled ?? readObject("{}"), { [name]: value }));
}
