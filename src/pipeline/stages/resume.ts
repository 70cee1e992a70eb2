/**
 * Questions of a server to the agent's side, over several requests (reference section 2.6). On the way in it opens
 * the gateway's seal, so that the server gets back its own `requestState`, and checks the form of the answers. On
 * the way out it holds a question to the rules (PR-24) and seals its state for this call. Relies on authorize's
 * target; a call without questions costs two look-ups. Each round is decided, counted and recorded like any request.
 */
import { canonicalJson } from "../../cache/canonical-json.ts";
import { createFault, type Fault } from "../../errors/fault.ts";
import {
  canAsk,
  readClientFeatures,
  requiredCapabilities,
} from "../../protocol/client-features.ts";
import {
  askingMethods,
  type InputRequired,
  isInputRequired,
  nameAsker,
  readInputRequired,
} from "../../protocol/input-required.ts";
import {
  findMember,
  type JsonObject,
  memberText,
  objectMember,
  objectText,
  replaceMember,
  stringMember,
  withMembers,
} from "../../protocol/json-view.ts";
import type { Outcome } from "../../protocol/messages.ts";
import { isAskingTask } from "../../protocol/tasks.ts";
import { type Exchange, proceed, refuse, type Verdict } from "../exchange.ts";
import type { RequestStates, StateOwner } from "../request-state.ts";
import type { Stage } from "../stage.ts";

export interface ResumeDeps {
  readonly states: RequestStates;
}

/** Most questions one call may lead to while its server keeps state (PR-24). */
const roundsMax = 8;

export function createResumeStage(deps: ResumeDeps): Stage {
  return {
    name: "resume",
    enter(x: Exchange): Verdict {
      const params = x.request?.params;
      if (params === undefined) return proceed;
      const hasState = findMember(params, "requestState") !== undefined;
      const hasAnswers = findMember(params, "inputResponses") !== undefined;
      if (!hasState && !hasAnswers) return proceed;
      const fault = checkForm(x, params) ?? (hasState ? openState(deps, x, params) : undefined);
      return fault === undefined ? proceed : refuse(fault);
    },
    leave(x: Exchange): void {
      if (x.outcome?.kind !== "result") return;
      const { result } = x.outcome;
      if (isInputRequired(result)) x.outcome = askAgent(deps, x, result);
      else if (x.method?.isAboutTask && isAskingTask(result)) x.outcome = askForTask(x, result);
    },
  };
}

function checkForm(x: Exchange, params: JsonObject): Fault | undefined {
  const method = x.request?.method ?? "";
  const isUpdate = method === "tasks/update" && findMember(params, "requestState") === undefined;
  if (!isUpdate && !askingMethods.has(method)) {
    return invalid(`${method} takes no such answers`, "round-not-allowed");
  }
  if (findMember(params, "inputResponses") === undefined) return undefined;
  const answers = objectMember(params, "inputResponses");
  const isMap = answers?.members.every(({ start }) => answers.text[start] === "{");
  if (isMap) return undefined;
  return invalid("inputResponses must be an object of objects", "answers-malformed");
}

/** Puts the server's own value in place of the sealed one. */
function openState(deps: ResumeDeps, x: Exchange, params: JsonObject): Fault | undefined {
  const sealed = stringMember(params, "requestState");
  const owner = ownerOf(x);
  const opened =
    sealed === undefined || owner === undefined
      ? { reason: "state-malformed" }
      : deps.states.open(owner, sealed);
  if ("reason" in opened) {
    return invalid("requestState is not valid for this call, or no longer", opened.reason);
  }
  if (x.request === undefined) return undefined;
  x.request = { ...x.request, params: replaceMember(params, "requestState", opened.stateText) };
  x.round = opened.round;
  return undefined;
}

function askAgent(deps: ResumeDeps, x: Exchange, result: JsonObject): Outcome {
  const question = readInputRequired(result);
  const fault = checkQuestion(x, question);
  if (fault !== undefined) return { kind: "fault", fault };
  const named = namedAsker(x, result);
  if (question?.requestState === undefined) return { kind: "result", result: named };
  const owner = ownerOf(x);
  const stateText = memberText(named, "requestState") ?? "";
  const sealed = owner && deps.states.seal(owner, stateText, x.round + 1);
  if (sealed === undefined) return { kind: "fault", fault: broken("state-too-long") };
  return { kind: "result", result: replaceMember(named, "requestState", `"${sealed}"`) };
}

/** The questions of a task: no state comes with them, and the agent may be asked as often as it asks for the task. */
function askForTask(x: Exchange, detail: JsonObject): Outcome {
  const question = readInputRequired(detail);
  const isEmpty = objectMember(detail, "inputRequests")?.members.length === 0;
  if (question === undefined && !isEmpty)
    return { kind: "fault", fault: broken("question-malformed") };
  const fault = question && checkDeclared(x, question);
  if (fault !== undefined) return { kind: "fault", fault };
  return { kind: "result", result: namedAsker(x, detail) };
}

function checkQuestion(x: Exchange, question: InputRequired | undefined): Fault | undefined {
  if (!askingMethods.has(x.request?.method ?? "")) return broken("question-not-allowed");
  if (question === undefined) return broken("question-malformed");
  if (x.round >= roundsMax) return broken("too-many-rounds");
  return checkDeclared(x, question);
}

/** On a server's own scope there is nobody to confuse it with, so its words stay as they are. */
function namedAsker(x: Exchange, result: JsonObject): JsonObject {
  return x.scope?.kind === "server" ? result : nameAsker(result, x.resolved?.server ?? "");
}

function checkDeclared(x: Exchange, question: InputRequired): Fault | undefined {
  const features = readClientFeatures(x.request?.envelope.clientCapabilitiesText ?? "{}");
  const unasked = question.requests.filter(({ method, params }) => {
    return !canAsk(features, method, params);
  });
  if (unasked.length === 0) return undefined;
  return createFault(
    "missing-client-capability",
    "The server asks for something that this client did not declare",
    {
      data: { requiredCapabilities: requiredCapabilities(unasked) },
      reason: "question-undeclared",
    },
  );
}

/** What a state is bound to. Params without a canonical form count as they are written. */
function ownerOf({ principal, request, resolved }: Exchange): StateOwner | undefined {
  if (principal === undefined || request?.params === undefined || resolved === undefined) {
    return undefined;
  }
  const text = objectText(withMembers(request.params, roundMembers));
  return {
    tenant: principal.tenant,
    principalId: principal.id,
    server: resolved.server,
    method: request.method,
    target: resolved.name,
    paramsText: canonicalJson(text) ?? text,
  };
}

/** What differs from round to round of one call. */
const roundMembers = { _meta: undefined, inputResponses: undefined, requestState: undefined };

function invalid(what: string, reason: string): Fault {
  return createFault("invalid-params", `Invalid params: ${what}`, { reason });
}

function broken(reason: string): Fault {
  return createFault("upstream-invalid", "The server asked the agent in a way it may not", {
    reason,
  });
}
