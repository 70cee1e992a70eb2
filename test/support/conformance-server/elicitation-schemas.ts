/**
 * Forms of the conformance fixture. In two of them the schema is what the official suite looks at: a default for each primitive type (SEP-1034), and
 * the five ways to offer a choice (SEP-1330).
 */
import type { ElicitRequestFormParams } from "@modelcontextprotocol/server";

type FormSchema = ElicitRequestFormParams["requestedSchema"];

export const defaults: FormSchema = {
  type: "object",
  properties: {
    name: { type: "string", default: "John Doe" },
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true },
  },
  required: [],
};

const plain = ["option1", "option2", "option3"];
const titled = [
  { const: "value1", title: "First" },
  { const: "value2", title: "Second" },
  { const: "value3", title: "Third" },
];

export const choices: FormSchema = {
  type: "object",
  properties: {
    untitledSingle: { type: "string", enum: plain },
    titledSingle: { type: "string", oneOf: titled },
    legacyEnum: {
      type: "string",
      enum: ["opt1", "opt2", "opt3"],
      enumNames: ["Option One", "Option Two", "Option Three"],
    },
    untitledMulti: { type: "array", items: { type: "string", enum: plain } },
    titledMulti: { type: "array", items: { anyOf: titled } },
  },
  required: [],
};

export const yesOrNo: FormSchema = {
  type: "object",
  properties: { ok: { type: "boolean" } },
  required: ["ok"],
};
