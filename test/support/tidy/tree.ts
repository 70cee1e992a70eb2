/**
 * The source tree as tidy sees it: each file's text and what it imports. Read from disk, or given as texts by the
 * tests that show each check can fail.
 */
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

export interface Import {
  /** A path from the repository's root (`src/lib/clock.ts`), or a package's name (`jose`, `bun:sqlite`, `node:fs`). */
  readonly target: string;
  readonly isPackage: boolean;
  /** Erased at build time: `import type`, or `import("…").X` in a type. */
  readonly isTypeOnly: boolean;
}

export interface SourceFile {
  /** From the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

export type Tree = readonly SourceFile[];

/** One broken rule: where, and what to do about it. */
export interface Finding {
  readonly path: string;
  readonly message: string;
}

const transpiler = new Bun.Transpiler({ loader: "ts" });

/** Reads every file below `root` that one of the patterns names. */
export function readTree(root: string, patterns: readonly string[]): Tree {
  const paths = patterns.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: root })]);
  return paths.sort().map((path) => parseSource(path, readFileSync(join(root, path), "utf8")));
}

export function parseSource(path: string, text: string): SourceFile {
  if (!path.endsWith(".ts")) return { path, text, imports: [] };
  const runtime = new Set([
    ...transpiler.scanImports(text).map((one) => one.path),
    ...sideEffectImports(text),
  ]);
  const mentioned = new Set([...runtime, ...typeImports(text)]);
  const imports = [...mentioned].map((specifier) => ({
    ...resolveImport(path, specifier),
    isTypeOnly: !runtime.has(specifier),
  }));
  return { path, text, imports };
}

/** The text without comments and without the insides of strings, so words in them are not taken for code. */
export function codeOnly(text: string): string {
  const tokens =
    /\/\*[\s\S]*?\*\/|(?<![:"'`\\])\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`/g;
  return text.replace(tokens, (token) => {
    // A template's substitutions are code: keep it whole rather than hide them.
    if (token.startsWith("`")) return token.includes("${") ? token : "``";
    return token.startsWith("/") ? "" : token.slice(0, 1).repeat(2);
  });
}

function sideEffectImports(text: string): readonly string[] {
  return [...text.matchAll(/^import "([^"]+)"/gm)].map((match) => match[1] ?? "");
}

/** The scanner drops what the compiler erases; these forms are what `verbatimModuleSyntax` leaves for types. */
function typeImports(text: string): readonly string[] {
  const forms = [
    /^(?:import|export)\s+[^"';]*?\bfrom\s+"([^"]+)"/gm,
    /\bimport\("([^"]+)"\)\.[A-Z]/g,
  ];
  return forms.flatMap((form) => [...text.matchAll(form)].map((match) => match[1] ?? ""));
}

function resolveImport(from: string, specifier: string): Pick<Import, "target" | "isPackage"> {
  const target = specifier.startsWith(".") ? normalize(join(dirname(from), specifier)) : specifier;
  // A package may be named by its file, where Bun answers the name with something of its own.
  const inside = /^node_modules\/(.+)$/.exec(target)?.[1];
  if (specifier.startsWith(".") && inside === undefined) return { target, isPackage: false };
  if (/^(?:node|bun):/.test(specifier)) return { target, isPackage: true };
  const parts = (inside ?? specifier).split("/");
  const name = parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
  return { target: name, isPackage: true };
}
