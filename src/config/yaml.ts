/**
 * Strict YAML for the configuration file, and for files that are imported. Bun.YAML gives the values but neither
 * positions nor duplicate keys, so a scan of the text finds the line of every key and refuses what a configuration has
 * no use for: duplicates, anchors, aliases, merges, tags and several documents. Called by `load.ts` and `cli/import.ts`.
 */
import type { ConfigProblem } from "./problem.ts";
import { scanKeys } from "./yaml-keys.ts";

const fileBytesMax = 256 * 1024;

export interface ParsedYaml {
  readonly value: unknown;
  /** `file:line:column` of a key path such as `agents.port` or `admin.operators[0].name`. */
  locate(path: string): string;
}

/** Parses `text` of the file called `fileName`; the problems say where and what. */
export function parseYaml(
  text: string,
  fileName: string,
): { readonly parsed: ParsedYaml } | { readonly problems: readonly ConfigProblem[] } {
  if (text.length > fileBytesMax) {
    const message = `the file is ${text.length} characters long; at most ${fileBytesMax} are read`;
    return { problems: [{ where: fileName, message }] };
  }
  const parsing = tryParse(text);
  if ("message" in parsing) {
    const line = findBrokenLine(text);
    return { problems: [{ where: `${fileName}:${line}`, message: parsing.message }] };
  }
  const scan = scanKeys(text);
  if (scan.problems.length > 0) {
    return {
      problems: scan.problems.map(({ line, column, message }) => ({
        where: `${fileName}:${line}:${column}`,
        message,
      })),
    };
  }
  return { parsed: { value: parsing.value, locate: (path) => locate(path, fileName, scan.keys) } };
}

function tryParse(text: string): { readonly value: unknown } | { readonly message: string } {
  try {
    return { value: Bun.YAML.parse(text) };
  } catch (error) {
    return { message: error instanceof Error ? error.message : String(error) };
  }
}

/** The longest run of leading lines that still parses ends just above the line at fault. */
function findBrokenLine(text: string): number {
  const lines = text.split("\n");
  for (let count = lines.length - 1; count > 0; count -= 1) {
    if ("value" in tryParse(lines.slice(0, count).join("\n"))) return count + 1;
  }
  return 1;
}

/** The position of `path`, or of the nearest key above it that is written down. */
function locate(
  path: string,
  fileName: string,
  keys: ReadonlyMap<string, { readonly line: number; readonly column: number }>,
): string {
  for (let rest = path; rest !== ""; rest = rest.replace(/(\.|\[|^)[^.[]*$/, "")) {
    const found = keys.get(rest);
    if (found !== undefined) return `${fileName}:${found.line}:${found.column}`;
  }
  return fileName;
}
