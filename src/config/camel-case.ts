/**
 * Keys from the file's snake_case to the program's camelCase, all the way down, in types and in values. Pure; used
 * where the finished configuration is built.
 */
type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Rest}`
  ? `${Head}${Capitalize<CamelCase<Rest>>}`
  : Name;

/** Keys in camelCase, everything read-only, all the way down. */
export type Camel<Value> = Value extends readonly (infer Element)[]
  ? readonly Camel<Element>[]
  : Value extends object
    ? {
        readonly [Key in keyof Value as Key extends string ? CamelCase<Key> : Key]: Camel<
          Value[Key]
        >;
      }
    : Value;

/** A copy with such keys; what is no object or list stays as it is. */
export function toCamel<Value>(value: Value): Camel<Value>;
export function toCamel(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => toCamel(one));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [
    key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
    toCamel(inner),
  ]);
  return Object.fromEntries(entries);
}
