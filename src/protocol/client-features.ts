/**
 * What an agent's side can be asked, read from its capabilities in the shape of any revision, and written for a
 * legacy server's `initialize`. Pure. A server may only be told of, and only ask for, what stands here.
 */
import type { InputMethod, InputRequest } from "./input-required.ts";
import { type JsonObject, objectMember, readObject, stringMember } from "./json-view.ts";

export interface ClientFeatures {
  readonly elicitationForm: boolean;
  readonly elicitationUrl: boolean;
  readonly sampling: boolean;
  readonly samplingTools: boolean;
  readonly samplingContext: boolean;
  readonly roots: boolean;
}

export const noFeatures: ClientFeatures = Object.freeze({
  elicitationForm: false,
  elicitationUrl: false,
  sampling: false,
  samplingTools: false,
  samplingContext: false,
  roots: false,
});

/** Everything the gateway can carry to an agent. */
export const allFeatures: ClientFeatures = Object.freeze({
  elicitationForm: true,
  elicitationUrl: true,
  sampling: true,
  samplingTools: true,
  samplingContext: true,
  roots: true,
});

/** An empty `elicitation` means the form mode alone (revision 2025-11-25). */
export function readClientFeatures(capabilitiesText: string): ClientFeatures {
  if (capabilitiesText === "{}") return noFeatures;
  const capabilities = readObject(capabilitiesText);
  const elicitation = objectMember(capabilities, "elicitation");
  const sampling = objectMember(capabilities, "sampling");
  const has = (object: JsonObject | undefined, key: string) =>
    object !== undefined && objectMember(object, key) !== undefined;
  const elicitationUrl = has(elicitation, "url");
  return {
    elicitationForm: elicitation !== undefined && (has(elicitation, "form") || !elicitationUrl),
    elicitationUrl,
    sampling: sampling !== undefined,
    samplingTools: has(sampling, "tools"),
    samplingContext: has(sampling, "context"),
    roots: objectMember(capabilities, "roots") !== undefined,
  };
}

/** Whether this question may be put to an agent with these features. */
export function canAsk(
  features: ClientFeatures,
  method: InputMethod,
  params: JsonObject | undefined,
): boolean {
  switch (method) {
    case "roots/list":
      return features.roots;
    case "sampling/createMessage": {
      const wantsTools = params !== undefined && objectOrArray(params, "tools");
      return features.sampling && (features.samplingTools || !wantsTools);
    }
    case "elicitation/create": {
      const isUrl = params !== undefined && stringMember(params, "mode") === "url";
      return isUrl ? features.elicitationUrl : features.elicitationForm;
    }
    default:
      return method satisfies never;
  }
}

/** The capabilities that these questions need, as `error.data.requiredCapabilities` of -32021 names them. */
export function requiredCapabilities(
  questions: readonly Pick<InputRequest, "method" | "params">[],
): Readonly<Record<string, object>> {
  const required: Record<string, object> = {};
  for (const { method, params } of questions) {
    switch (method) {
      case "roots/list":
        required.roots = {};
        break;
      case "sampling/createMessage": {
        const wantsTools = params !== undefined && objectOrArray(params, "tools");
        required.sampling = { ...required.sampling, ...(wantsTools ? { tools: {} } : {}) };
        break;
      }
      case "elicitation/create": {
        const isUrl = params !== undefined && stringMember(params, "mode") === "url";
        required.elicitation = { ...required.elicitation, [isUrl ? "url" : "form"]: {} };
        break;
      }
      default:
        method satisfies never;
    }
  }
  return required;
}

/** The capabilities object of a legacy `initialize`. Equal features give equal text, so it also names the set. */
export function renderLegacyCapabilities(features: ClientFeatures): string {
  const parts: string[] = [];
  if (features.elicitationForm || features.elicitationUrl) {
    const form = features.elicitationForm ? ['"form":{}'] : [];
    const url = features.elicitationUrl ? ['"url":{}'] : [];
    parts.push(`"elicitation":{${[...form, ...url].join(",")}}`);
  }
  if (features.sampling) {
    const tools = features.samplingTools ? ['"tools":{}'] : [];
    const context = features.samplingContext ? ['"context":{}'] : [];
    parts.push(`"sampling":{${[...tools, ...context].join(",")}}`);
  }
  if (features.roots) parts.push('"roots":{}');
  return `{${parts.join(",")}}`;
}

function objectOrArray(object: JsonObject, key: string): boolean {
  const member = object.members.find((one) => one.key === key);
  const first = member && object.text[member.start];
  return first === "{" || first === "[";
}
