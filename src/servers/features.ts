/**
 * What the agent behind one request can be asked, and what its request may be answered with. Declarations repeat with
 * every request, so the few there are are remembered. Pure but for that memory.
 */
import {
  type ClientFeatures,
  noFeatures,
  readClientFeatures,
  renderLegacyCapabilities,
} from "../protocol/client-features.ts";
import { askingMethods } from "../protocol/input-required.ts";
import type { McpRequest } from "../protocol/messages.ts";
import { declaresTasks } from "../protocol/tasks.ts";

const rememberedMax = 256;
const rememberedCharsMax = 2_048;
const remembered = new Map<string, ClientFeatures>();

const questions: ReadonlySet<string> = new Set(["input_required"]);
const questionsAndTasks: ReadonlySet<string> = new Set(["input_required", "task"]);
/** Two examples of the extension show `tasks/get` answered so. */
const tasks: ReadonlySet<string> = new Set(["task"]);

/** `noFeatures` itself where the agent can be asked nothing. */
export function featuresOf({ envelope }: McpRequest): ClientFeatures {
  return featuresOfText(envelope.clientCapabilitiesText);
}

export function featuresOfText(text: string): ClientFeatures {
  if (text === "{}") return noFeatures;
  const known = remembered.get(text);
  if (known !== undefined) return known;
  const read = readClientFeatures(text);
  const features = renderLegacyCapabilities(read) === "{}" ? noFeatures : read;
  if (text.length <= rememberedCharsMax) {
    if (remembered.size >= rememberedMax) remembered.clear();
    remembered.set(text, features);
  }
  return features;
}

/** The result types a modern server may answer with besides `complete`. */
export function resultTypesOf(
  { method, envelope }: McpRequest,
  advertisedText: string,
): ReadonlySet<string> | undefined {
  if (method === "tasks/get") return tasks;
  if (!askingMethods.has(method)) return undefined;
  const text = envelope.clientCapabilitiesText;
  if (method !== "tools/call" || !declaresTasks(text)) return questions;
  return declaresTasks(advertisedText) ? questionsAndTasks : questions;
}
