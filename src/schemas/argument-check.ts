/**
 * Holds the arguments of a tool call against the tool's input schema (S03). Schemas are compiled once and remembered
 * by their text. Nothing is coerced and nothing filled in: the arguments are read, never written.
 */
import { LRUCache } from "lru-cache";
import { needsObject } from "./assertions.ts";
import { compileSchema } from "./compile.ts";
import { createRun, Exhausted, evaluate, type SchemaNode, type Violation } from "./node.ts";
import { type RejectionReason, SchemaRejected } from "./rejection.ts";

export interface ArgumentCheck {
  /** Why no call could be held against this schema (source text); undefined where it is usable. */
  rejectionOf(schemaText: string): Rejection | undefined;
  /**
   * What the arguments (source text; undefined where there are none) violate, at most a few violations; none where
   * they are as the schema wants them. The schema must not be a rejected one.
   */
  violationsOf(schemaText: string, argumentsText: string | undefined): readonly Violation[];
}

export interface Rejection {
  readonly reason: RejectionReason;
  readonly detail: string;
}

type Judged = SchemaNode | Rejection;

const schemasMax = 10_000;
/** Of the texts; what is compiled takes about ten times as much. */
const schemaCharsTotal = 16 * 1024 * 1024;

const none: readonly Violation[] = Object.freeze([]);
const notAnObject: readonly Violation[] = Object.freeze([{ path: "", expected: "must be object" }]);
const tooCostly: readonly Violation[] = Object.freeze([
  { path: "", expected: "cannot be checked with reasonable effort" },
]);

export function createArgumentCheck(): ArgumentCheck {
  const known = new LRUCache<string, Judged>({
    max: schemasMax,
    maxSize: schemaCharsTotal,
    sizeCalculation: (_judged, text) => text.length + 1,
  });

  function judge(schemaText: string): Judged {
    const found = known.get(schemaText);
    if (found !== undefined) return found;
    const judged = tryCompile(schemaText);
    known.set(schemaText, judged);
    return judged;
  }

  return {
    rejectionOf(schemaText) {
      const judged = judge(schemaText);
      return "reason" in judged ? judged : undefined;
    },
    violationsOf(schemaText, argumentsText = "{}") {
      if (!argumentsText.startsWith("{")) return notAnObject;
      const judged = judge(schemaText);
      if ("reason" in judged || permitsEveryObject(judged)) return none;
      return violationsOf(judged, JSON.parse(argumentsText));
    },
  };
}

function permitsEveryObject({ checks }: SchemaNode): boolean {
  return checks.every((check) => check === needsObject);
}

function tryCompile(schemaText: string): Judged {
  try {
    return compileSchema(schemaText);
  } catch (cause) {
    if (cause instanceof SchemaRejected) return { reason: cause.reason, detail: cause.message };
    throw cause;
  }
}

function violationsOf(node: SchemaNode, value: unknown): readonly Violation[] {
  const run = createRun();
  try {
    return evaluate(node, value, run, undefined, undefined) ? none : run.violations;
  } catch (cause) {
    // A stack that is full is one more way of being too deep.
    if (cause instanceof Exhausted || cause instanceof RangeError) return tooCostly;
    throw cause;
  }
}
