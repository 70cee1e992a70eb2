/**
 * The `Mcp-Param-*` headers of revision 2026-07-28: which arguments of a tool its schema mirrors into headers
 * (`x-mcp-header`), and their values for one call. Pure; the catalogue reads the first once for each listing, the
 * client writes the second for each call over Streamable HTTP.
 */
import { encodeHeaderValue } from "../protocol/headers.ts";
import {
  decodeString,
  findMember,
  type JsonObject,
  objectMember,
  readObject,
  stringMember,
} from "../protocol/json-view.ts";

export interface ParamHeader {
  /** Lower-case, prefix included. */
  readonly header: string;
  /** Member names from the arguments object down to the value. */
  readonly path: readonly string[];
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const types = new Set<string | undefined>(["string", "integer", "boolean"]);
const depthMax = 8;
const headersMax = 32;

/** The mirrored arguments of a tool, from its definition; annotations that the revision calls invalid are ignored. */
export function readParamHeaders(toolText: string): readonly ParamHeader[] {
  // Most tools have none, and this is cheaper than opening their schemas.
  if (!toolText.includes('"x-mcp-header"')) return [];
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
    let object = objectMember(params, "arguments");
    for (const name of path.slice(0, -1)) object = object && objectMember(object, name);
    const text = object && scalarText(object, path.at(-1) ?? "");
    if (text !== undefined) headers[header] = encodeHeaderValue(text);
  }
  return headers;
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

function scalarText(object: JsonObject, key: string): string | undefined {
  const member = findMember(object, key);
  if (member === undefined) return undefined;
  const { start, end } = member;
  const text = object.text.slice(start, end);
  if (text.startsWith('"')) return decodeString(object.text, start, end);
  return text === "null" || text.startsWith("{") || text.startsWith("[") ? undefined : text;
}
