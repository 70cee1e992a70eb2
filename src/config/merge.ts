/**
 * Laying one layer of configuration over another, before anything of it is checked. Pure; used by `load.ts`.
 */

/** Sections merge key by key; lists and plain values replace. */
export function mergeInto(target: Record<string, unknown>, source: object): void {
  for (const [key, value] of Object.entries(source)) {
    const present = target[key];
    if (isRecord(value) && isRecord(present)) mergeInto(present, value);
    else target[key] = isRecord(value) ? structuredClone(value) : value;
  }
}

export function setPath(target: Record<string, unknown>, path: string, value: unknown): void {
  const [head = "", ...rest] = path.split(".");
  if (rest.length === 0) {
    target[head] = value;
    return;
  }
  const inner = target[head];
  const section = isRecord(inner) ? inner : {};
  target[head] = section;
  setPath(section, rest.join("."), value);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
