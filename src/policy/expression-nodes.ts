/**
 * The library's syntax tree, as far as conditions use it, and how what cannot be used is refused with its place.
 */

import type { Facts } from "./expression-facts.ts";
import type { Value } from "./expression-values.ts";

/** The library's tree, as far as it is used here. */
export interface CelNode {
  readonly op: string;
  readonly args: unknown;
  readonly start: number;
  readonly checkedType: { readonly kind: string } | undefined;
}

export interface Run {
  readonly facts: Facts;
  /** The element a macro looks at. */
  local: Value;
}

export type Evaluate = (run: Run) => Value;

/** Says what is wrong; `start` is where in the text. */
export class ExpressionRefusal extends Error {
  readonly start: number;
  constructor(message: string, start: number) {
    super(message);
    this.start = start;
  }
}

export function needNode(value: unknown): CelNode {
  if (typeof value === "object" && value !== null && "op" in value && "args" in value) {
    const { op, args } = value;
    const start = "start" in value ? value.start : 0;
    const type = "checkedType" in value ? value.checkedType : undefined;
    const isTyped = typeof type === "object" && type !== null && "kind" in type;
    if (typeof op === "string") {
      return {
        op,
        args,
        start: typeof start === "number" ? start : 0,
        checkedType: isTyped ? { kind: String(type.kind) } : undefined,
      };
    }
  }
  throw new ExpressionRefusal("cannot be used in a condition", 0);
}

/** What is looked into, and the name in it where the expression spells it out. */
export function accessOf({ op, args }: CelNode): readonly [CelNode, string | CelNode] {
  const [left, right] = needList(args);
  if (op === "." && typeof right === "string") return [needNode(left), right];
  const index = needNode(right);
  const isName = index.op === "value" && typeof index.args === "string";
  return [needNode(left), isName ? String(index.args) : index];
}

export function isArguments({ op, args }: CelNode): boolean {
  return op === "id" && args === "arguments";
}

export function needNodes(value: unknown): readonly CelNode[] {
  return needList(value).map(needNode);
}

export function needList(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new ExpressionRefusal("cannot be used in a condition", 0);
}
