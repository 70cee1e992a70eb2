/**
 * The `Mcp-Param-*` headers of revision 2026-07-28: which arguments of a tool its schema mirrors into headers
 * (`x-mcp-header`), their values for one call, and whether those an agent sent agree with its arguments. Pure; the
 * catalogue reads the first once for each listing, the client writes the second for each call over Streamable HTTP.
 */
import { decodeHeaderValue, encodeHeaderValue } from "./headers.ts";
import {
  decodeString,
  findMember,
  type JsonObject,
  objectMember,
  readArray,
  readObject,
  type Span,
  stringMember,
} from "./json-view.ts";

export interface ParamHeader {
  /** Lower-case, prefix included. */
  readonly header: string;
  /** Member names from the arguments object down to the value. */
  readonly path: readonly string[];
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const types = new Set<string | undefined>(["string", "integer", "boolean"]);
const annotation = '"x-mcp-header"';
const depthMax = 8;
const headersMax = 32;

/** The mirrored arguments of a tool, from its definition; annotations that the revision calls invalid are ignored. */
export function readParamHeaders(toolText: string): readonly ParamHeader[] {
  // Most tools have none, and this is cheaper than opening their schemas.
  if (!toolText.includes(annotation)) return [];
  const schema = objectMember(readObject(toolText), "inputSchema");
  const found: ParamHeader[] = [];
  if (schema !== undefined) collect(schema, [], found);
  return found;
}

/** The headers for the arguments that are present and not null. */
export function paramHeaders(
  mirrored: readonly ParamHeader[],
  params: JsonObject,
): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const { header, path } of mirrored) {
    const scalar = scalarAt(params, path);
    if (scalar !== undefined) headers[header] = encodeHeaderValue(scalar.text);
  }
  return headers;
}

export interface ParamMismatch {
  readonly header: string;
  readonly what: string;
}

/**
 * The first header that does not agree with the arguments. `lenient` lets one be missing, as from a browser that may
 * not send it; one that contradicts its argument is wrong either way.
 */
export function findParamMismatch(
  mirrored: readonly ParamHeader[],
  params: JsonObject,
  headers: { get(name: string): string | null },
  strictness: "strict" | "lenient",
): ParamMismatch | undefined {
  for (const { header, path } of mirrored) {
    const given = headers.get(header);
    const scalar = scalarAt(params, path);
    if (given === null) {
      if (scalar !== undefined && strictness === "strict") return { header, what: "is missing" };
      continue;
    }
    // What does not fit into plain ASCII must come encoded: readers guess raw bytes differently.
    if (!plain.test(given)) return { header, what: "has raw bytes" };
    const decoded = decodeHeaderValue(given);
    if (decoded === undefined) return { header, what: "holds bad base64" };
    if (scalar === undefined) return { header, what: "has no argument in the body" };
    if (!isSame(scalar, decoded)) return { header, what: "differs from the body" };
  }
  return undefined;
}

const plain = /^[\t\x20-\x7e]*$/;
const integer = /^-?[0-9]+(?:\.0+)?$/;

/** Integers by their value, so `42.0` is `42`; what a double cannot hold exactly, by its digits. */
function isSame(scalar: Scalar, decoded: string): boolean {
  if (scalar.text === decoded) return true;
  if (!scalar.isNumber || !integer.test(decoded)) return false;
  const value = Number(scalar.text);
  return Number.isSafeInteger(value) && value === Number(decoded);
}

/**
 * Whether a tool has an annotation that the revision calls invalid: a client over Streamable HTTP must drop such a
 * tool, and so it is not shown to one.
 */
export function hasInvalidParamHeaders(tool: JsonObject): boolean {
  const text = tool.text.slice(tool.start, tool.end);
  if (!text.includes(annotation)) return false;
  const schema = objectMember(tool, "inputSchema");
  return schema !== undefined && countAnnotations(schema) !== readParamHeaders(text).length;
}

/** Members whose own members are names, not keywords. */
const namesInside = new Set([
  "properties",
  "patternProperties",
  "$defs",
  "definitions",
  "dependentSchemas",
]);
/** Members that hold values, not schemas. */
const values = new Set(["default", "examples", "const", "enum"]);

/** Annotations anywhere in a schema, also where none may be. */
function countAnnotations(schema: JsonObject, isNames = false): number {
  let count = 0;
  for (const member of schema.members) {
    if (!isNames && member.key === "x-mcp-header") count += 1;
    else if (isNames || !values.has(member.key)) {
      count += countWithin(schema.text, member, !isNames && namesInside.has(member.key));
    }
  }
  return count;
}

function countWithin(text: string, { start }: Span, isNames: boolean): number {
  if (text[start] === "{") return countAnnotations(readObject(text, start), isNames);
  if (text[start] !== "[") return 0;
  return readArray(text, start).reduce((sum, span) => sum + countWithin(text, span, false), 0);
}

function collect(schema: JsonObject, path: readonly string[], found: ParamHeader[]): void {
  const properties = objectMember(schema, "properties");
  if (properties === undefined || path.length >= depthMax) return;
  for (const { key } of properties.members) {
    const property = objectMember(properties, key);
    if (property === undefined || found.length >= headersMax) continue;
    const name = stringMember(property, "x-mcp-header");
    const header = `mcp-param-${name?.toLowerCase()}`;
    const isNew = !found.some((other) => other.header === header);
    if (
      name !== undefined &&
      token.test(name) &&
      isNew &&
      types.has(stringMember(property, "type"))
    )
      found.push({ header, path: [...path, key] });
    collect(property, [...path, key], found);
  }
}

interface Scalar {
  /** Decoded where it is a string. */
  readonly text: string;
  readonly isNumber: boolean;
}

/** The argument at this path, where there is one that a header can hold. */
function scalarAt(params: JsonObject, path: readonly string[]): Scalar | undefined {
  let object = objectMember(params, "arguments");
  for (const name of path.slice(0, -1)) object = object && objectMember(object, name);
  const member = object && findMember(object, path.at(-1) ?? "");
  if (object === undefined || member === undefined) return undefined;
  const { start, end } = member;
  const text = object.text.slice(start, end);
  if (text.startsWith('"')) {
    return { text: decodeString(object.text, start, end), isNumber: false };
  }
  if (text === "null" || text.startsWith("{") || text.startsWith("[")) return undefined;
  return { text, isNumber: text !== "true" && text !== "false" };
}
