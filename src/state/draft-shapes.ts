/**
 * What a well-formed draft and a well-formed revision of policy look like. The parts of policy in them are only
 * objects here: `policy-objects.ts` reads each when it is used, so an old revision never keeps a state from loading.
 */
import {
  integer,
  list,
  matching,
  object,
  oneOf,
  optional,
  refuseField,
  type Shape,
  text,
} from "./body-shape.ts";
import { resourceName } from "./resource-shapes.ts";
import {
  type DraftStep,
  draftStates,
  type PolicyDifference,
  type PolicyDraftResource,
  type PolicyRevisionResource,
  policyObjectKinds,
} from "./resources.ts";

export const draftChangesMax = 1_000;
export const draftStepsMax = 100;
const timeMaxMs = 8.64e15;
const operatorName = text(512, 1);
const timeMs = integer(0, timeMaxMs);

const part: Shape<object> = (value, path) =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? value
    : refuseField(path, "must be an object");

const difference = object<PolicyDifference>({
  kind: oneOf(policyObjectKinds),
  tenant: optional(text(256, 1)),
  name: resourceName,
  before: optional(part),
  after: optional(part),
});

export const policyDraftShape = object<PolicyDraftResource>({
  name: resourceName,
  tenant: optional(text(256, 1)),
  description: text(4096),
  state: oneOf(draftStates),
  author: operatorName,
  editors: list(operatorName, 256),
  approvedBy: optional(operatorName),
  undoes: optional(resourceName),
  effectiveFromMs: optional(timeMs),
  effectiveToMs: optional(timeMs),
  changes: list(difference, draftChangesMax),
  steps: list(
    object<DraftStep>({
      atMs: timeMs,
      by: operatorName,
      state: oneOf(draftStates),
      comment: text(4096),
    }),
    draftStepsMax,
  ),
});

export const policyRevisionShape = object<PolicyRevisionResource>({
  name: matching(/^[0-9]{12}$/, 12, "a state revision in twelve digits"),
  stateRevision: integer(1, Number.MAX_SAFE_INTEGER),
  atMs: timeMs,
  by: operatorName,
  draft: optional(resourceName),
  // One write may change more than a draft: an import, a client deleted with all that names it.
  changes: list(difference, 100_000),
});
