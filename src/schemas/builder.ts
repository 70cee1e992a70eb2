/**
 * What the keywords' own files need while a schema is compiled: subschemas, patterns, references, and members read by
 * their type.
 */
import type { Check, SchemaNode } from "./node.ts";
import type { Pattern } from "./pattern.ts";
import { SchemaRejected } from "./rejection.ts";

export type JsonMap = Readonly<Record<string, unknown>>;
export type Dialect = "draft-06" | "draft-07" | "2019-09" | "2020-12";

/** The drafts before 2019-09. */
export function isOld(dialect: Dialect): boolean {
  return dialect === "draft-06" || dialect === "draft-07";
}

export interface Builder {
  readonly dialect: Dialect;
  /** A subschema of the schema at hand. */
  subschema(value: unknown): SchemaNode;
  pattern(text: string): Pattern;
  /** The target of a reference, known by the time that anything is evaluated. */
  refer(reference: string): { readonly target: SchemaNode };
}

/** Makes the check of one keyword, or of several that only mean something together; undefined where there is none. */
export type KeywordBuilder = (schema: JsonMap, builder: Builder) => Check | undefined;

export function malformed(keyword: string): SchemaRejected {
  return new SchemaRejected("malformed", keyword);
}

export function isMap(value: unknown): value is JsonMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The keyword's value; undefined where the schema does not have it. */
export function own(schema: JsonMap, keyword: string): unknown {
  return Object.hasOwn(schema, keyword) ? schema[keyword] : undefined;
}

export function ownMap(schema: JsonMap, keyword: string): JsonMap | undefined {
  const value = own(schema, keyword);
  if (value === undefined || isMap(value)) return value;
  throw malformed(keyword);
}

export function ownString(schema: JsonMap, keyword: string): string | undefined {
  const value = own(schema, keyword);
  if (value === undefined || typeof value === "string") return value;
  throw malformed(keyword);
}

export function ownNumber(schema: JsonMap, keyword: string): number | undefined {
  const value = own(schema, keyword);
  if (value === undefined || typeof value === "number") return value;
  throw malformed(keyword);
}

/** An array of names. */
export function needNames(value: unknown, keyword: string): readonly string[] {
  if (Array.isArray(value) && value.every((name) => typeof name === "string")) return value;
  throw malformed(keyword);
}
