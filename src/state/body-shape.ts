/**
 * Strict readers for stored bodies: each `Shape` turns an unknown JSON value into a typed one or says which field is
 * wrong and what is allowed. Unknown members are refused, so a misspelt field never silently means "not set".
 * Called by `resource-shapes.ts`; knows no resource.
 */
import { GatewayError } from "../errors/fault.ts";

/** Reads `value`, found at `path`; throws GatewayError invalid-params. */
export type Shape<T> = (value: unknown, path: string) => T;

export function refuseField(path: string, why: string): never {
  throw new GatewayError("invalid-params", `${path}: ${why}`, { reason: "invalid-resource" });
}

export function text(lengthMax: number, lengthMin = 0): Shape<string> {
  return (value, path) => {
    if (typeof value !== "string") return refuseField(path, "must be text");
    if (value.length < lengthMin) return refuseField(path, "must not be empty");
    if (value.length > lengthMax) return refuseField(path, `at most ${lengthMax} characters`);
    if (!value.isWellFormed()) return refuseField(path, "must be well-formed Unicode");
    return value;
  };
}

export function matching(pattern: RegExp, lengthMax: number, allowed: string): Shape<string> {
  const base = text(lengthMax);
  return (value, path) => {
    const read = base(value, path);
    return pattern.test(read) ? read : refuseField(path, `must be ${allowed}`);
  };
}

export function integer(min: number, max: number): Shape<number> {
  return (value, path) => {
    const isFine = typeof value === "number" && Number.isSafeInteger(value);
    if (isFine && value >= min && value <= max) return value;
    return refuseField(path, `must be a whole number from ${min} to ${max}`);
  };
}

export const flag: Shape<boolean> = (value, path) =>
  typeof value === "boolean" ? value : refuseField(path, "must be true or false");

export function oneOf<const T extends string>(values: readonly T[]): Shape<T> {
  return (value, path) =>
    values.find((known) => known === value) ??
    refuseField(path, `must be one of ${values.join(", ")}`);
}

export function list<T>(shape: Shape<T>, lengthMax: number): Shape<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) return refuseField(path, "must be a list");
    if (value.length > lengthMax) return refuseField(path, `at most ${lengthMax} entries`);
    return Object.freeze(value.map((entry, index) => shape(entry, `${path}[${index}]`)));
  };
}

export function textMap(
  key: Shape<string>,
  value: Shape<string>,
  sizeMax: number,
): Shape<Readonly<Record<string, string>>> {
  return (found, path) => {
    const entries = Object.entries(needObject(found, path));
    if (entries.length > sizeMax) return refuseField(path, `at most ${sizeMax} entries`);
    return Object.freeze(
      // The key is not repeated in the path of the value: a path is shown to callers and logged.
      Object.fromEntries(
        entries.map(([k, v]) => [key(k, `${path} key`), value(v, `${path} value`)]),
      ),
    );
  };
}

export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value, path) => (value === undefined || value === null ? undefined : shape(value, path));
}

/** An object with exactly these members; a member whose shape accepts undefined may be missing. */
export function object<T extends object>(
  members: { readonly [K in keyof T]-?: Shape<T[K]> },
): Shape<T> {
  const known = Object.keys(members) as (keyof T & string)[];
  return (value, path) => {
    const found = needObject(value, path);
    const unknown = Object.keys(found).find((name) => !Object.hasOwn(members, name));
    if (unknown !== undefined) {
      return refuseField(path, `unknown member ${JSON.stringify(unknown.slice(0, 64))}`);
    }
    const read = known.map((name) => [name, members[name](found[name], joinPath(path, name))]);
    return Object.freeze(Object.fromEntries(read)) as T;
  };
}

function joinPath(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function needObject(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuseField(path, "must be an object");
  }
  return value as Readonly<Record<string, unknown>>;
}
