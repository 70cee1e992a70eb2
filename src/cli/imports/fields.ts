/**
 * Reads values of foreign files: what is of another type than expected refuses the file, with its place. Used by the
 * translators.
 */
import { type PlanBuilder, refuseFile } from "./plan.ts";

export type Section = Readonly<Record<string, unknown>>;

export function isSection(value: unknown): value is Section {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A mapping; a missing one is empty. */
export function sectionOf(value: unknown, where: string): Section {
  if (value === undefined || value === null) return {};
  return isSection(value) ? value : refuseFile(where, "must be a mapping");
}

/** The entries of a mapping of mappings, each with its place. */
export function entriesOf(
  value: unknown,
  where: string,
): readonly (readonly [name: string, entry: Section, where: string])[] {
  return Object.entries(sectionOf(value, where)).map(([name, entry]) => {
    const place = `${where}.${name}`;
    return [name, sectionOf(entry, place), place] as const;
  });
}

/** The mappings of a list, each with its place; a missing list is empty. */
export function listOf(
  value: unknown,
  where: string,
): readonly (readonly [entry: Section, where: string])[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return refuseFile(where, "must be a list");
  return value.map((entry: unknown, index) => {
    const place = `${where}[${index}]`;
    return [isSection(entry) ? entry : refuseFile(place, "must be a mapping"), place] as const;
  });
}

/** A list of texts, undefined where there is none. */
export function textsOf(value: unknown, where: string): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) return refuseFile(where, "must be a list of texts");
  return value.map((entry: unknown, index) =>
    typeof entry === "string" ? entry : refuseFile(`${where}[${index}]`, "must be text"),
  );
}

export function textOf(value: unknown, where: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" ? value : refuseFile(where, "must be text");
}

export function needText(value: unknown, where: string): string {
  return textOf(value, where) || refuseFile(where, "is missing");
}

export function numberOf(value: unknown, where: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  const isNumber = typeof value === "number" && Number.isFinite(value);
  return isNumber ? value : refuseFile(where, "must be a number");
}

export function flagOf(value: unknown, where: string): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "boolean" ? value : refuseFile(where, "must be true or false");
}

/** Texts by name, such as environments and headers; numbers and flags are taken as they are written. */
export function textMapOf(value: unknown, where: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(sectionOf(value, where)).map(([name, one]) => {
      const isPlain = ["string", "number", "boolean"].includes(typeof one);
      return [name, isPlain ? String(one) : refuseFile(`${where}.${name}`, "must be text")];
    }),
  );
}

/** Says of every member that no translator knows that it stays behind. */
export function leaveOthersOut(
  plan: PlanBuilder,
  section: Section,
  known: readonly string[],
  where: string,
): void {
  for (const name of Object.keys(section)) {
    if (known.includes(name)) continue;
    plan.leftOut(where === "" ? name : `${where}.${name}`, "nothing here stands for it");
  }
}
