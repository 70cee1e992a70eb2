/**
 * Rules that one file's text can break by itself: the header, banned calls and words, exports, sizes, loose ends.
 */
import { codeOnly, type Finding, type SourceFile, type Tree } from "./tree.ts";

interface Ban {
  readonly pattern: RegExp;
  readonly instead: string;
  /** The one place (or few) where it belongs. */
  readonly allowedIn?: readonly string[];
}

/** Searched in the code alone, without comments and strings. Biome watches `any`, enums and namespaces. */
export const bans: readonly Ban[] = [
  {
    pattern: /\bprocess\.env\b/,
    instead: "read the environment in config/load.ts",
    allowedIn: ["src/config/load.ts"],
  },
  { pattern: /\bBun\.env\b/, instead: "read the environment in config/load.ts" },
  { pattern: /\bprocess\.exit\b/, instead: "end in main.ts", allowedIn: ["src/main.ts"] },
  { pattern: /\bDate\.now\b/, instead: "take a Clock", allowedIn: ["src/lib/clock.ts"] },
  { pattern: /\bnew Date\(\)/, instead: "take a Clock" },
  { pattern: /\bperformance\.now\b/, instead: "take a Clock", allowedIn: ["src/lib/clock.ts"] },
  { pattern: /\bMath\.random\b/, instead: "use lib/id.ts or node:crypto" },
  { pattern: /\bconsole\./, instead: "use the log, or cli/output.ts" },
  {
    pattern: /\bprocess\.(?:stdout|stderr)\.write\b/,
    instead: "use the log, or cli/output.ts",
    // main.ts hands the two writers to cli/output.ts.
    allowedIn: ["src/telemetry/log.ts", "src/cli/output.ts", "src/main.ts"],
  },
  { pattern: /\bexport default\b/, instead: "export by name" },
  { pattern: /^export \* from\b/m, instead: "import from the file itself; barrels hide the map" },
  { pattern: /\bas unknown as\b/, instead: "parse or guard the value" },
  {
    pattern: /\b(?:const|let|function|class|interface|type) \w*(?:Manager|Helper|Utils?|Handler)\b/,
    instead: "name what it does",
  },
  {
    pattern: /\b(?:const|let|function|class|interface|type) (?:data|info|item)\b/,
    instead: "name what it holds",
  },
  { pattern: /\beval\(|\bnew Function\(/, instead: "nothing builds code from text here" },
];

/** Files that may pass 300 lines, and why. */
export const longFiles: Readonly<Record<string, string>> = {};

const linesMax = 300;

export function checkWords(tree: Tree): readonly Finding[] {
  return tree
    .filter((file) => file.path.endsWith(".ts"))
    .flatMap((file) => [
      ...checkName(file),
      ...checkHeader(file),
      ...checkBans(file),
      ...checkLength(file),
    ]);
}

/** Loose ends, in tests and scripts too: a `.only` left behind, a note to self that nobody can follow. */
export function checkLooseEnds(tree: Tree): readonly Finding[] {
  return tree.flatMap((file) => {
    const findings: Finding[] = [];
    const code = codeOnly(file.text);
    if (/\b(?:test|it|describe)\.only\b/.test(code)) {
      findings.push(finding(file, "holds a .only: the other tests would not run"));
    }
    for (const line of file.text.split("\n")) {
      const note = line.match(/(?:\/\/|\*|#).*\b(FIXME|TODO|XXX)\b/);
      if (note !== null && !line.includes("https://")) {
        findings.push(finding(file, `${note[1]} without a link: "${line.trim()}"`));
      }
    }
    return findings;
  });
}

function checkName(file: SourceFile): readonly Finding[] {
  const name = file.path.split("/").at(-1) ?? "";
  if (/^index\.|(?:^|-)(?:manager|helpers?|utils?|handler)\./.test(name)) {
    return [finding(file, "is named for nothing in particular: name its one concern")];
  }
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*\.ts$/.test(name)) return [finding(file, "name it in kebab-case")];
  return [];
}

function checkHeader(file: SourceFile): readonly Finding[] {
  if (/^\/\*\*(?: .{30,} |\n(?: \*.*\n){1,8} )\*\/\n/.test(file.text)) return [];
  return [finding(file, "begin it with a comment of 1-8 lines: what it decides and who calls it")];
}

function checkBans(file: SourceFile): readonly Finding[] {
  const code = codeOnly(file.text);
  return bans.flatMap(({ pattern, instead, allowedIn = [] }) => {
    const match = code.match(pattern)?.[0].trim();
    if (match === undefined || allowedIn.includes(file.path)) return [];
    return [finding(file, `holds \`${match}\`: ${instead}`)];
  });
}

function checkLength(file: SourceFile): readonly Finding[] {
  const lines = file.text.split("\n").length - 1;
  const isListed = longFiles[file.path] !== undefined;
  if (lines > linesMax && !isListed) {
    return [finding(file, `${lines} lines: split it, or give the reason in longFiles (words.ts)`)];
  }
  if (lines <= linesMax && isListed) return [finding(file, "is short now: take it off longFiles")];
  return [];
}

function finding(file: SourceFile, message: string): Finding {
  return { path: file.path, message };
}
