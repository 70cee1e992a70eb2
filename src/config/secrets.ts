/**
 * A value that must not be printed. Every way a value usually reaches a log (string conversion, JSON, inspection)
 * gives `[redacted]`; only `reveal()` gives the value, so the places that use a secret can be found by name.
 */
const redacted = "[redacted]";

export interface Secret {
  /** The value itself. Call it where the value is used, and keep no copy. */
  reveal(): string;
  toString(): string;
  toJSON(): string;
}

/** Wraps `value`; the wrapper is frozen and keeps the value out of its own properties. */
export function createSecret(value: string): Secret {
  const show = () => redacted;
  return Object.freeze({
    reveal: () => value,
    toString: show,
    toJSON: show,
    [Symbol.toPrimitive]: show,
    [Symbol.for("nodejs.util.inspect.custom")]: show,
  });
}
