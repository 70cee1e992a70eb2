/**
 * Where a schema's references lead: inside its own text or nowhere, since nothing is ever fetched (PR-22). Resources
 * are the document and its parts with an `$id`; fragments are JSON Pointers or anchors.
 */
import { isMap, malformed } from "./builder.ts";
import type { Resource } from "./node.ts";
import { SchemaRejected } from "./rejection.ts";

/** What relative identifiers are resolved against; never an address. */
export const documentUri = "schema://tool/";

export function createResource(uri: string, root: object): Resource {
  return { uri, root, anchors: new Map(), dynamicAnchors: new Map() };
}

/** The absolute identifier of a part, without its fragment. */
export function resolveId(id: string, base: Resource): string {
  return splitUri(id, base, "$id").uri;
}

export interface Found {
  readonly schema: unknown;
  readonly resource: Resource;
}

export function findReference(
  reference: string,
  base: Resource,
  byUri: ReadonlyMap<string, Resource>,
  byRoot: ReadonlyMap<object, Resource>,
): Found {
  const { uri, fragment } = splitUri(reference, base, "$ref");
  const resource = uri === base.uri ? base : byUri.get(uri);
  if (resource === undefined) throw new SchemaRejected("external-ref", reference.slice(0, 100));
  if (fragment === "") return { schema: resource.root, resource };
  if (fragment.startsWith("/")) return followPointer(fragment, resource, byRoot);
  const schema = resource.anchors.get(fragment);
  if (schema === undefined) throw unresolvable(reference);
  return { schema, resource };
}

function splitUri(reference: string, base: Resource, keyword: string) {
  if (reference.startsWith("#")) return { uri: base.uri, fragment: decode(reference.slice(1)) };
  const url = URL.parse(reference, base.uri);
  if (url === null) throw malformed(keyword);
  const fragment = decode(url.hash.slice(1));
  url.hash = "";
  return { uri: url.href, fragment };
}

function followPointer(
  pointer: string,
  from: Resource,
  byRoot: ReadonlyMap<object, Resource>,
): Found {
  let schema: unknown = from.root;
  let resource = from;
  for (const part of pointer.slice(1).split("/")) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    const holder: object | undefined = isMap(schema) || Array.isArray(schema) ? schema : undefined;
    if (holder === undefined || !Object.hasOwn(holder, key)) throw unresolvable(`#${pointer}`);
    schema = Reflect.get(holder, key);
    if (isMap(schema)) resource = byRoot.get(schema) ?? resource;
  }
  return { schema, resource };
}

function decode(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    throw malformed("$ref");
  }
}

function unresolvable(reference: string): SchemaRejected {
  return new SchemaRejected("unresolvable-ref", reference.slice(0, 100));
}
