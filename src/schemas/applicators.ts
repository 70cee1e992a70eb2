/** The keywords that hold subschemas against the value itself, and those that refer to schemas elsewhere. */
import {
  type Builder,
  isMap,
  isOld,
  type JsonMap,
  type KeywordBuilder,
  malformed,
  own,
  ownMap,
  ownString,
} from "./builder.ts";
import { type Check, evaluate, fail, type SchemaNode, spend, tryOut } from "./node.ts";

/** In the order they are checked. */
export const applicators: readonly KeywordBuilder[] = [
  buildRef,
  buildDynamicRef,
  buildAllOf,
  buildAnyOf,
  buildOneOf,
  buildNot,
  buildIf,
  buildDependentSchemas,
];

function buildRef(schema: JsonMap, builder: Builder): Check | undefined {
  const reference = ownString(schema, "$ref");
  if (reference === undefined) return undefined;
  const link = builder.refer(reference);
  return (value, run, at, seen) => evaluate(link.target, value, run, at, seen);
}

/** `$recursiveRef` is the same under one name, the empty one. */
function buildDynamicRef(schema: JsonMap, builder: Builder): Check | undefined {
  const { dialect } = builder;
  const keyword = dialect === "2019-09" ? "$recursiveRef" : "$dynamicRef";
  if (dialect !== "2019-09" && dialect !== "2020-12") return undefined;
  const reference = ownString(schema, keyword);
  if (reference === undefined) return undefined;
  const link = builder.refer(reference);
  const name = dialect === "2019-09" ? "" : reference.slice(reference.indexOf("#") + 1);
  return (value, run, at, seen) => {
    spend(run, run.scope.length);
    const { target } = link;
    const isDynamic = target.resource.dynamicAnchors.get(name) === target;
    const outermost = isDynamic ? run.scope.find((one) => one.dynamicAnchors.has(name)) : undefined;
    const chosen = outermost?.dynamicAnchors.get(name) ?? target;
    return evaluate(chosen, value, run, at, seen);
  };
}

function subschemas(schema: JsonMap, keyword: string, builder: Builder): readonly SchemaNode[] {
  const value = own(schema, keyword);
  if (!Array.isArray(value) || value.length === 0) throw malformed(keyword);
  return value.map((one) => builder.subschema(one));
}

function buildAllOf(schema: JsonMap, builder: Builder): Check | undefined {
  if (!Object.hasOwn(schema, "allOf")) return undefined;
  const nodes = subschemas(schema, "allOf", builder);
  return (value, run, at, seen) => {
    let valid = true;
    for (const node of nodes) if (!evaluate(node, value, run, at, seen)) valid = false;
    return valid;
  };
}

function buildAnyOf(schema: JsonMap, builder: Builder): Check | undefined {
  if (!Object.hasOwn(schema, "anyOf")) return undefined;
  const nodes = subschemas(schema, "anyOf", builder);
  const expected = expectedForms(schema.anyOf, "at least one");
  return (value, run, at, seen) => {
    let valid = false;
    for (const node of nodes) {
      if (tryOut(node, value, run, at, seen)) valid = true;
      if (valid && seen === undefined) break;
    }
    return valid || fail(run, at, expected);
  };
}

function buildOneOf(schema: JsonMap, builder: Builder): Check | undefined {
  if (!Object.hasOwn(schema, "oneOf")) return undefined;
  const nodes = subschemas(schema, "oneOf", builder);
  const expected = expectedForms(schema.oneOf, "exactly one");
  return (value, run, at, seen) => {
    let matches = 0;
    for (const node of nodes) {
      if (tryOut(node, value, run, at, seen)) matches += 1;
      if (matches > 1) break;
    }
    return matches === 1 || fail(run, at, expected);
  };
}

/** Plain types are named; anything else is counted. */
function expectedForms(alternatives: unknown, howMany: string): string {
  const all = Array.isArray(alternatives) ? alternatives : [];
  const types = all.flatMap((one) =>
    isMap(one) && Object.keys(one).length === 1 && typeof one.type === "string" ? [one.type] : [],
  );
  if (types.length === all.length) return `must be ${types.join(" or ")}`;
  return `must match ${howMany} of the ${all.length} forms its schema allows`;
}

function buildNot(schema: JsonMap, builder: Builder): Check | undefined {
  if (!Object.hasOwn(schema, "not")) return undefined;
  const node = builder.subschema(schema.not);
  return (value, run, at) =>
    !tryOut(node, value, run, at, undefined) || fail(run, at, "has a form its schema forbids");
}

function buildIf(schema: JsonMap, builder: Builder): Check | undefined {
  const part = (keyword: string) =>
    Object.hasOwn(schema, keyword) ? builder.subschema(schema[keyword]) : undefined;
  const [when, yes, no] = [part("if"), part("then"), part("else")];
  if (when === undefined || builder.dialect === "draft-06") return undefined;
  return (value, run, at, seen) => {
    const next = tryOut(when, value, run, at, seen) ? yes : no;
    return next === undefined || evaluate(next, value, run, at, seen);
  };
}

function buildDependentSchemas(schema: JsonMap, builder: Builder): Check | undefined {
  const map = ownMap(schema, isOld(builder.dialect) ? "dependencies" : "dependentSchemas") ?? {};
  const entries = Object.entries(map)
    .filter(([, one]) => !isOld(builder.dialect) || !Array.isArray(one))
    .map(([name, one]) => ({ name, node: builder.subschema(one) }));
  if (entries.length === 0) return undefined;
  return (value, run, at, seen) => {
    if (!isMap(value)) return true;
    spend(run, entries.length);
    let valid = true;
    for (const { name, node } of entries) {
      const applies = Object.hasOwn(value, name);
      if (applies && !evaluate(node, value, run, at, seen)) valid = false;
    }
    return valid;
  };
}
