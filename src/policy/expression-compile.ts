/**
 * Turns a type-checked expression into closures. What is not understood is refused here, so there is no second
 * meaning of anything.
 */
import { allArguments, argumentOf, hasArgument } from "./argument-values.ts";
import { compileCall, compileMethod } from "./expression-calls.ts";
import {
  accessOf,
  type CelNode,
  type Evaluate,
  ExpressionRefusal,
  isArguments,
  needNode,
  needNodes,
} from "./expression-nodes.ts";
import { arithmetic, comparisons } from "./expression-operators.ts";
import {
  and,
  equals,
  failed,
  fromOutcomes,
  holds,
  isFailed,
  isFalse,
  isTrue,
  lacking,
  lackingAny,
  NoValue,
  not,
  or,
  outcomesOf,
  toInt,
  unknown,
  type Value,
} from "./expression-values.ts";

/** `local` is the variable of the macro around the node. */
export function compileNode(node: CelNode, local?: string): Evaluate {
  const { op, args } = node;
  const compile = (child: CelNode) => compileNode(child, local);
  switch (op) {
    case "value":
      return compileLiteral(node);
    case "id":
      return compileVariable(node, local);
    case ".":
    case "[]":
      return compileAccess(node, compile);
    case "call":
      return compileCall(node, compileNode, local);
    case "rcall":
      return compileMethod(node, compileNode, local);
    case "list":
      return compileList(needNodes(args).map(compile));
    case "?:":
      return compileChoice(needNodes(args).map(compile));
    case "!_": {
      const inner = compile(needNode(args));
      return (run) => not(inner(run));
    }
    case "&&":
    case "||":
      return compileLogic(op, needNodes(args).map(compile));
    case "-_": {
      const inner = compile(needNode(args));
      return (run) => negated(inner(run));
    }
    default:
      return compileBinary(node, compile);
  }
}

function negated(value: Value): Value {
  if (typeof value === "bigint") return toInt(-value);
  if (typeof value === "number") return -value;
  return value instanceof NoValue ? value : failed;
}

function compileLiteral({ args, start }: CelNode): Evaluate {
  if (args === null) return () => null;
  switch (typeof args) {
    case "string":
    case "bigint":
    case "number":
    case "boolean":
      return () => args;
    default:
      throw new ExpressionRefusal("bytes and unsigned numbers have no use in a condition", start);
  }
}

function compileVariable({ args, start }: CelNode, local: string | undefined): Evaluate {
  if (args === local) return (run) => run.local;
  switch (args) {
    case "principal":
      return ({ facts }) => facts.principal;
    case "call":
      return ({ facts }) => facts.call;
    case "time":
      return ({ facts: { timeMs } }) => (timeMs === undefined ? unknown : new Date(timeMs));
    case "peer":
      return ({ facts }) => facts.peer;
    case "arguments":
      return ({ facts: { arguments: given } }) => (given ? allArguments(given) : unknown);
    default:
      throw new ExpressionRefusal(`${String(args)} cannot be used in a condition`, start);
  }
}

/** `arguments.name` reads one member alone, `arguments[x]` with any other index reads them all. */
function compileAccess(node: CelNode, compile: (child: CelNode) => Evaluate): Evaluate {
  const [left, right] = accessOf(node);
  if (isArguments(left) && typeof right === "string") {
    return ({ facts: { arguments: given } }) => (given ? argumentOf(given, right) : unknown);
  }
  const of = compile(left);
  if (typeof right === "string") {
    return (run) => {
      const value = of(run);
      if (value instanceof Map) return present(value.get(right));
      return value instanceof NoValue ? value : failed;
    };
  }
  const index = compile(right);
  return (run) => elementOf(of(run), index(run));
}

function elementOf(value: Value, index: Value): Value {
  const none = lacking(value, index);
  if (none !== undefined) return none;
  if (value instanceof Map) return typeof index === "string" ? present(value.get(index)) : failed;
  return Array.isArray(value) && typeof index === "bigint" ? present(value[Number(index)]) : failed;
}

/** Null is a value; only what is not there has none. */
function present(value: Value | undefined): Value {
  return value === undefined ? failed : value;
}

function compileList(elements: readonly Evaluate[]): Evaluate {
  return (run) => {
    const values = elements.map((element) => element(run));
    return lackingAny(values) ?? values;
  };
}

function compileChoice([condition, yes, no]: readonly Evaluate[]): Evaluate {
  if (!condition || !yes || !no) throw new ExpressionRefusal("a choice needs three parts", 0);
  return (run) => {
    const chosen = condition(run);
    if (chosen === true) return yes(run);
    if (chosen === false) return no(run);
    const outcomes = outcomesOf(chosen);
    if (outcomes === isFailed) return failed;
    const left = yes(run);
    const right = no(run);
    if (![left, right].every((one) => typeof one === "boolean" || one instanceof NoValue)) {
      return unknown;
    }
    return fromOutcomes(
      (outcomes & isTrue ? outcomesOf(left) : 0) |
        (outcomes & isFalse ? outcomesOf(right) : 0) |
        (outcomes & isFailed),
    );
  };
}

function compileLogic(op: "&&" | "||", [left, right]: readonly Evaluate[]): Evaluate {
  if (!left || !right) throw new ExpressionRefusal(`${op} needs two sides`, 0);
  const [join, decisive] = op === "&&" ? ([and, false] as const) : ([or, true] as const);
  return (run) => {
    const first = left(run);
    return first === decisive ? decisive : join(first, right(run));
  };
}

function compileBinary(node: CelNode, compile: (child: CelNode) => Evaluate): Evaluate {
  const { op, start } = node;
  const [leftNode, rightNode] = Array.isArray(node.args) ? needNodes(node.args) : [];
  if (!leftNode || !rightNode) throw new ExpressionRefusal(`${op} cannot be used`, start);
  const left = compile(leftNode);
  if (op === "in") return compileIn(left, leftNode, rightNode, compile);
  const right = compile(rightNode);
  if (op === "==" || op === "!=") {
    // Asking for null is the one question about a value whose type is another.
    const asksNull = [leftNode, rightNode].some((one) => one.op === "value" && one.args === null);
    const same = asksNull ? bothNull : equals;
    return op === "=="
      ? (run) => same(left(run), right(run))
      : (run) => not(same(left(run), right(run)));
  }
  const compute = comparisons[op] ?? arithmetic[op];
  if (compute === undefined || leftNode.checkedType?.kind === "list") {
    throw new ExpressionRefusal(`${op} cannot be used like this in a condition`, start);
  }
  return (run) => compute(left(run), right(run));
}

function bothNull(left: Value, right: Value): Value {
  return lacking(left, right) ?? left === right;
}

/** Membership in a list, or of a name in a map whose type is known; what only may be a map is no map. */
function compileIn(
  left: Evaluate,
  leftNode: CelNode,
  rightNode: CelNode,
  compile: (child: CelNode) => Evaluate,
): Evaluate {
  if (isArguments(rightNode) && leftNode.op === "value" && typeof leftNode.args === "string") {
    const name = leftNode.args;
    return ({ facts: { arguments: given } }) => (given ? hasArgument(given, name) : unknown);
  }
  const right = compile(rightNode);
  if (rightNode.checkedType?.kind !== "map") return (run) => holds(right(run), left(run));
  return (run) => {
    const map = right(run);
    const name = left(run);
    return (
      lacking(map, name) ??
      (map instanceof Map && typeof name === "string" ? map.has(name) : failed)
    );
  };
}
