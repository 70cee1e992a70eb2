/**
 * Calls in conditions: functions of the table, `has`, and macros over lists. A macro may not hold another, so an
 * expression costs at most the square of what it reads.
 */
import { hasArgument } from "./argument-values.ts";
import { type CelFunction, FunctionRefusal, functions } from "./expression-functions.ts";
import {
  accessOf,
  type CelNode,
  type Evaluate,
  ExpressionRefusal,
  isArguments,
  needList,
  needNode,
  needNodes,
} from "./expression-nodes.ts";
import {
  and,
  failed,
  fromOutcomes,
  lacking,
  lackingAny,
  NoValue,
  or,
  outcomesOf,
  unknown,
  type Value,
} from "./expression-values.ts";

/** Compiles a node, `local` being the variable of the macro around it. */
type Compile = (node: CelNode, local: string | undefined) => Evaluate;

export function compileCall(node: CelNode, compile: Compile, local: string | undefined): Evaluate {
  const [name, given] = needList(node.args);
  const args = needNodes(given);
  if (name === "has") return compileHas(node, args, (one) => compile(one, local));
  return compileFunction(node, `${String(name)}/${args.length}`, args, (one) =>
    compile(one, local),
  );
}

export function compileMethod(
  node: CelNode,
  compile: Compile,
  local: string | undefined,
): Evaluate {
  const [name, receiver, given] = needList(node.args);
  const args = needNodes(given);
  const macro = macros[`${String(name)}/${args.length}`];
  if (macro !== undefined)
    return compileMacro(node, compile, macro, [needNode(receiver), ...args], local);
  const all = [needNode(receiver), ...args];
  return compileFunction(node, `.${String(name)}/${args.length}`, all, (one) =>
    compile(one, local),
  );
}

function compileFunction(
  { start }: CelNode,
  signature: string,
  nodes: readonly CelNode[],
  compile: (node: CelNode) => Evaluate,
): Evaluate {
  const make = Object.hasOwn(functions, signature) ? functions[signature] : undefined;
  if (make === undefined) {
    const known = Object.keys(functions).map((one) => one.replace(/^\.|\/\d$/g, ""));
    const names = [...new Set([...known, "has", "all", "exists", "exists_one", "filter", "map"])];
    const asked = signature.replace(/^\.|\/\d$/g, "");
    throw new ExpressionRefusal(
      `there is no function ${asked} like this; known: ${names.join(", ")}`,
      start,
    );
  }
  const args = nodes.map(compile);
  const literals = nodes.map(literalOf);
  const apply = makeOrRefuse(() => make(literals), start);
  const constants = literals.filter((one) => one !== undefined);
  if (constants.length === nodes.length) {
    const constant = apply(...constants);
    if (constant === failed) throw new ExpressionRefusal("this has no value", start);
    return () => constant;
  }
  const [first, second] = args;
  if (first !== undefined && args.length <= 2) return applyShort(apply, first, second);
  throw new ExpressionRefusal("too many arguments", start);
}

function applyShort(apply: CelFunction, first: Evaluate, second: Evaluate | undefined): Evaluate {
  if (second === undefined) {
    return (run) => {
      const value = first(run);
      return value instanceof NoValue ? value : apply(value);
    };
  }
  return (run) => {
    const left = first(run);
    const right = second(run);
    return lacking(left, right) ?? apply(left, right);
  };
}

function makeOrRefuse(make: () => CelFunction, start: number): CelFunction {
  try {
    return make();
  } catch (error) {
    if (error instanceof FunctionRefusal) throw new ExpressionRefusal(error.message, start);
    throw error;
  }
}

/** `has(a.b)`: whether the member is there; where `a` is missing or no map, it fails. */
function compileHas(
  node: CelNode,
  args: readonly CelNode[],
  compile: (node: CelNode) => Evaluate,
): Evaluate {
  const [asked] = args;
  const access = asked?.op === "." ? accessOf(asked) : undefined;
  if (access === undefined || typeof access[1] !== "string") {
    throw new ExpressionRefusal("has() needs a member, like has(arguments.path)", node.start);
  }
  const [left, name] = access;
  if (isArguments(left)) {
    return ({ facts: { arguments: given } }) => (given ? hasArgument(given, name) : unknown);
  }
  const of = compile(left);
  return (run) => {
    const value = of(run);
    if (value instanceof Map) return value.has(name);
    return value instanceof NoValue ? value : failed;
  };
}

type Fold = (list: readonly Value[], test: (element: Value) => Value) => Value;

const macros: Readonly<Record<string, Fold>> = {
  "all/2": (list, test) => {
    let result: Value = true;
    for (const element of list) {
      result = and(result, test(element));
      if (result === false) break;
    }
    return result;
  },
  "exists/2": (list, test) => {
    let result: Value = false;
    for (const element of list) {
      result = or(result, test(element));
      if (result === true) break;
    }
    return result;
  },
  "exists_one/2": (list, test) => {
    const tested = list.map(test);
    return lackingBool(tested) ?? tested.filter((one) => one === true).length === 1;
  },
  "filter/2": (list, test) => {
    const tested = list.map(test);
    return lackingBool(tested) ?? list.filter((_, index) => tested[index] === true);
  },
  "map/2": (list, make) => {
    const made = list.map(make);
    return lackingAny(made) ?? made;
  },
};

function lackingBool(tested: readonly Value[]): NoValue | undefined {
  return lackingAny(
    tested.map((one) => (typeof one === "boolean" ? one : fromOutcomes(outcomesOf(one)))),
  );
}

function compileMacro(
  { start }: CelNode,
  compile: Compile,
  fold: Fold,
  [receiver, variable, body]: readonly CelNode[],
  local: string | undefined,
): Evaluate {
  if (local !== undefined) {
    throw new ExpressionRefusal("a macro inside another one could cost too much", start);
  }
  if (receiver?.checkedType?.kind === "map") {
    throw new ExpressionRefusal("macros look at lists, not at maps", start);
  }
  if (receiver === undefined || variable?.op !== "id" || body === undefined) {
    throw new ExpressionRefusal("a macro needs a variable and an expression", start);
  }
  if (isKnownName(String(variable.args))) {
    throw new ExpressionRefusal(`the macro's variable may not be called ${variable.args}`, start);
  }
  const list = compile(receiver, undefined);
  const test = compile(body, String(variable.args));
  return (run) => {
    const elements = list(run);
    if (!Array.isArray(elements)) return elements instanceof NoValue ? elements : failed;
    return fold(elements, (element) => {
      run.local = element;
      return test(run);
    });
  };
}

/** A variable that hid one of these would be read in two ways. */
function isKnownName(name: string): boolean {
  return ["principal", "call", "arguments", "time", "peer"].includes(name);
}

function literalOf({ op, args }: CelNode): Value | undefined {
  if (op !== "value") return undefined;
  return typeof args === "string" || typeof args === "bigint" || typeof args === "number"
    ? args
    : undefined;
}
