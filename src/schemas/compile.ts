/**
 * Makes checks of a JSON Schema's text, within bounds that are counted as it goes: drafts 06, 07, 2019-09 and 2020-12,
 * the last where none is named. Unknown keywords and all formats are annotations. Throws `SchemaRejected`.
 */
import { applicators } from "./applicators.ts";
import { assertions } from "./assertions.ts";
import {
  type Builder,
  type Dialect,
  isMap,
  isOld,
  type JsonMap,
  malformed,
  ownMap,
  ownString,
} from "./builder.ts";
import { children, unevaluated } from "./children.ts";
import { type Check, fail, type Resource, type SchemaNode } from "./node.ts";
import { compilePattern } from "./pattern.ts";
import { createResource, documentUri, findReference, resolveId } from "./references.ts";
import { SchemaRejected } from "./rejection.ts";

const schemaCharsMax = 512 * 1024;
const subschemasMax = 1_000;
const depthMax = 64;
/** Instructions of all patterns of one schema. */
const patternsSizeMax = 20_000;

const keywords = [...assertions, ...applicators, ...children, ...unevaluated];
const dialects: readonly (readonly [RegExp, Dialect])[] = [
  [/^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/, "2020-12"],
  [/^https?:\/\/json-schema\.org\/draft\/2019-09\/schema#?$/, "2019-09"],
  [/^https?:\/\/json-schema\.org\/draft-07\/schema#?$/, "draft-07"],
  [/^https?:\/\/json-schema\.org\/draft-06\/schema#?$/, "draft-06"],
];

/** A reference that waits for all resources to be known. */
interface Link {
  target: SchemaNode;
  readonly reference: string;
  readonly resource: Resource;
}

interface Compilation {
  readonly dialect: Dialect;
  readonly byUri: Map<string, Resource>;
  readonly byRoot: Map<object, Resource>;
  readonly nodes: Map<object, SchemaNode>;
  readonly links: Link[];
  subschemas: number;
  patternsSize: number;
}

/** The text must be one JSON value that was scanned. */
export function compileSchema(text: string): SchemaNode {
  if (text.length > schemaCharsMax) {
    throw new SchemaRejected("too-large", `more than ${schemaCharsMax} characters`);
  }
  const schema: unknown = JSON.parse(text);
  if (!isMap(schema)) throw malformed("inputSchema");
  const document = createResource(documentUri, schema);
  const compilation: Compilation = {
    dialect: dialectOf(schema),
    byUri: new Map([[document.uri, document]]),
    byRoot: new Map([[schema, document]]),
    nodes: new Map(),
    links: [],
    subschemas: 0,
    patternsSize: 0,
  };
  const node = compileNode(compilation, schema, document, 1);
  // What a reference leads to may hold references of its own.
  for (let link = compilation.links.pop(); link !== undefined; link = compilation.links.pop()) {
    const { reference, resource } = link;
    const found = findReference(reference, resource, compilation.byUri, compilation.byRoot);
    link.target = compileNode(compilation, found.schema, found.resource, 1);
  }
  return node;
}

function dialectOf(schema: JsonMap): Dialect {
  const named = ownString(schema, "$schema");
  if (named === undefined) return "2020-12";
  const known = dialects.find(([pattern]) => pattern.test(named));
  if (known === undefined) throw new SchemaRejected("dialect-unsupported", named.slice(0, 100));
  return known[1];
}

function compileNode(
  compilation: Compilation,
  schema: unknown,
  within: Resource,
  depth: number,
): SchemaNode {
  const known = isMap(schema) ? compilation.nodes.get(schema) : undefined;
  if (known !== undefined) return known;
  compilation.subschemas += 1;
  if (compilation.subschemas > subschemasMax) {
    throw new SchemaRejected("too-many-subschemas", `more than ${subschemasMax}`);
  }
  if (depth > depthMax) throw new SchemaRejected("too-deep", `deeper than ${depthMax}`);
  if (typeof schema === "boolean") {
    return { resource: within, checks: schema ? [] : [allowNothing], collects: false };
  }
  if (!isMap(schema)) throw malformed("a subschema");
  const resource = enterResource(compilation, schema, within);
  const node: SchemaNode = { resource, checks: [], collects: false };
  compilation.nodes.set(schema, node);
  noteAnchors(compilation, schema, node);
  fillNode(compilation, schema, node, depth);
  return node;
}

const allowNothing: Check = (_value, run, at) => fail(run, at, "is not allowed");

function fillNode(
  compilation: Compilation,
  schema: JsonMap,
  node: SchemaNode,
  depth: number,
): void {
  const { resource } = node;
  const { dialect } = compilation;
  const subschema = (value: unknown) => compileNode(compilation, value, resource, depth + 1);
  const builder: Builder = {
    dialect,
    subschema,
    pattern(text) {
      const pattern = compilePattern(text);
      compilation.patternsSize += pattern.size;
      if (compilation.patternsSize > patternsSizeMax) {
        throw new SchemaRejected("pattern-too-large", "all patterns together");
      }
      return pattern;
    },
    refer(reference) {
      const link: Link = { target: node, reference, resource };
      compilation.links.push(link);
      return link;
    },
  };
  for (const keyword of ["$defs", "definitions"]) {
    for (const one of Object.values(ownMap(schema, keyword) ?? {})) subschema(one);
  }
  // Beside a reference, the drafts before 2019-09 read nothing else.
  const read = isOld(dialect) && Object.hasOwn(schema, "$ref") ? { $ref: schema.$ref } : schema;
  node.checks = keywords.flatMap((build) => build(read, builder) ?? []);
  node.collects =
    !isOld(dialect) && ["unevaluatedProperties", "unevaluatedItems"].some((one) => one in read);
}

function enterResource(compilation: Compilation, schema: JsonMap, within: Resource): Resource {
  const isIgnored = isOld(compilation.dialect) && Object.hasOwn(schema, "$ref");
  const id = isIgnored ? undefined : ownString(schema, "$id");
  const known = compilation.byRoot.get(schema);
  if (id === undefined || id.startsWith("#")) return known ?? within;
  const uri = resolveId(id, within);
  // A document may be called by the name it gives itself.
  if (known !== undefined) {
    const named = { ...known, uri };
    compilation.byRoot.set(schema, named);
    compilation.byUri.set(uri, named);
    return named;
  }
  const resource = createResource(uri, schema);
  if (compilation.byUri.has(uri)) throw malformed("$id");
  compilation.byUri.set(uri, resource);
  compilation.byRoot.set(schema, resource);
  return resource;
}

function noteAnchors({ dialect }: Compilation, schema: JsonMap, node: SchemaNode): void {
  const { anchors, dynamicAnchors } = node.resource;
  const id = ownString(schema, "$id");
  if (id?.startsWith("#")) anchors.set(id.slice(1), schema);
  const anchor = ownString(schema, "$anchor");
  if (anchor !== undefined) anchors.set(anchor, schema);
  const dynamic = ownString(schema, "$dynamicAnchor");
  if (dynamic !== undefined) {
    anchors.set(dynamic, schema);
    dynamicAnchors.set(dynamic, node);
  }
  if (dialect === "2019-09" && schema.$recursiveAnchor === true) dynamicAnchors.set("", node);
}
