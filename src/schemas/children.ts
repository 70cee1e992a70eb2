/** The keywords that hold subschemas against the members of an object or the elements of an array. */
import {
  type Builder,
  isMap,
  isOld,
  type JsonMap,
  type KeywordBuilder,
  malformed,
  own,
  ownMap,
  ownNumber,
} from "./builder.ts";
import { type Check, evaluate, fail, isDecided, type SchemaNode, spend, tryOut } from "./node.ts";

/** In the order they are checked; the unevaluated ones need what all others have seen. */
export const children: readonly KeywordBuilder[] = [
  buildMembers,
  buildPropertyNames,
  buildElements,
  buildContains,
];

export const unevaluated: readonly KeywordBuilder[] = [
  buildUnevaluatedItems,
  buildUnevaluatedProperties,
];

function optional(schema: JsonMap, keyword: string, builder: Builder): SchemaNode | undefined {
  const value = own(schema, keyword);
  return value === undefined ? undefined : builder.subschema(value);
}

/** `properties`, `patternProperties` and what is left over. */
function buildMembers(schema: JsonMap, builder: Builder): Check | undefined {
  const named = new Map(
    Object.entries(ownMap(schema, "properties") ?? {}).map(([name, one]) => [
      name,
      builder.subschema(one),
    ]),
  );
  const patterned = Object.entries(ownMap(schema, "patternProperties") ?? {}).map(
    ([text, one]) => ({ pattern: builder.pattern(text), node: builder.subschema(one) }),
  );
  const rest = optional(schema, "additionalProperties", builder);
  const mayBeNull = new Set([...named.keys()].filter((name) => isOptionalMirrored(schema, name)));
  if (named.size === 0 && patterned.length === 0 && rest === undefined) return undefined;
  return (value, run, at, seen) => {
    if (!isMap(value)) return true;
    let valid = true;
    for (const key of Object.keys(value)) {
      spend(run, 1);
      const place = { above: at, key };
      const node = named.get(key);
      let isKnown = node !== undefined;
      const isLeftOut = value[key] === null && mayBeNull.has(key);
      if (node !== undefined && !isLeftOut && !evaluate(node, value[key], run, place, undefined))
        valid = false;
      for (const one of patterned) {
        if (!one.pattern.test(key, run)) continue;
        isKnown = true;
        if (!evaluate(one.node, value[key], run, place, undefined)) valid = false;
      }
      if (!isKnown && rest !== undefined) {
        isKnown = true;
        if (!evaluate(rest, value[key], run, place, undefined)) valid = false;
      }
      if (isKnown) seen?.members.add(key);
      if (!valid && isDecided(run)) return false;
    }
    return valid;
  };
}

/** Of an argument that is mirrored into a header, null says the same as leaving it out (revision 2026-07-28). */
function isOptionalMirrored(schema: JsonMap, name: string): boolean {
  const property = ownMap(schema, "properties")?.[name];
  const required = own(schema, "required");
  const isRequired = Array.isArray(required) && required.includes(name);
  return isMap(property) && Object.hasOwn(property, "x-mcp-header") && !isRequired;
}

function buildPropertyNames(schema: JsonMap, builder: Builder): Check | undefined {
  const node = optional(schema, "propertyNames", builder);
  if (node === undefined) return undefined;
  return (value, run, at) => {
    if (!isMap(value)) return true;
    const names = Object.keys(value);
    const bad = names.find((name) => !tryOut(node, name, run, at, undefined));
    if (bad === undefined) return true;
    return fail(run, { above: at, key: bad }, "has a name its schema does not allow");
  };
}

/**
 * The first elements by position, the others all alike. `items` as an array is what drafts before 2020-12 wrote, and
 * what servers that name no dialect still write.
 */
function buildElements(schema: JsonMap, builder: Builder): Check | undefined {
  const items = own(schema, "items");
  const isTuple = Array.isArray(items);
  const prefixItems = builder.dialect === "2020-12" ? own(schema, "prefixItems") : undefined;
  const listed = prefixItems ?? (isTuple ? items : []);
  if (!Array.isArray(listed)) throw malformed("prefixItems");
  const first = listed.map((one) => builder.subschema(one));
  const rest = optional(schema, isTuple ? "additionalItems" : "items", builder);
  if (first.length === 0 && rest === undefined) return undefined;
  return (value, run, at, seen) => {
    if (!Array.isArray(value)) return true;
    let valid = true;
    const count = rest === undefined ? Math.min(first.length, value.length) : value.length;
    for (let index = 0; index < count; index += 1) {
      const node = first[index] ?? rest;
      const place = { above: at, key: index };
      if (node !== undefined && !evaluate(node, value[index], run, place, undefined)) valid = false;
      seen?.elements.add(index);
      if (!valid && isDecided(run)) return false;
    }
    return valid;
  };
}

function buildContains(schema: JsonMap, builder: Builder): Check | undefined {
  const node = optional(schema, "contains", builder);
  if (node === undefined) return undefined;
  const isCounted = builder.dialect === "2019-09" || builder.dialect === "2020-12";
  const least = (isCounted ? ownNumber(schema, "minContains") : undefined) ?? 1;
  const most = (isCounted ? ownNumber(schema, "maxContains") : undefined) ?? Number.MAX_VALUE;
  const marks = builder.dialect === "2020-12";
  return (value, run, at, seen) => {
    if (!Array.isArray(value)) return true;
    let matches = 0;
    value.forEach((element, index) => {
      if (!tryOut(node, element, run, { above: at, key: index }, undefined)) return;
      matches += 1;
      if (marks) seen?.elements.add(index);
    });
    if (matches >= least && matches <= most) return true;
    return fail(run, at, "has too few or too many elements of the form its schema asks for");
  };
}

function buildUnevaluatedItems(schema: JsonMap, builder: Builder): Check | undefined {
  const node = laterOnly(schema, "unevaluatedItems", builder);
  if (node === undefined) return undefined;
  return (value, run, at, seen) => {
    if (!Array.isArray(value)) return true;
    let valid = true;
    for (let index = 0; index < value.length; index += 1) {
      spend(run, 1);
      if (seen?.elements.has(index)) continue;
      const place = { above: at, key: index };
      if (!evaluate(node, value[index], run, place, undefined)) valid = false;
      seen?.elements.add(index);
      if (!valid && isDecided(run)) return false;
    }
    return valid;
  };
}

function buildUnevaluatedProperties(schema: JsonMap, builder: Builder): Check | undefined {
  const node = laterOnly(schema, "unevaluatedProperties", builder);
  if (node === undefined) return undefined;
  return (value, run, at, seen) => {
    if (!isMap(value)) return true;
    let valid = true;
    for (const key of Object.keys(value)) {
      spend(run, 1);
      if (seen?.members.has(key)) continue;
      if (!evaluate(node, value[key], run, { above: at, key }, undefined)) valid = false;
      seen?.members.add(key);
      if (!valid && isDecided(run)) return false;
    }
    return valid;
  };
}

/** Keywords that the drafts before 2019-09 do not know. */
function laterOnly(schema: JsonMap, keyword: string, builder: Builder): SchemaNode | undefined {
  return isOld(builder.dialect) ? undefined : optional(schema, keyword, builder);
}
