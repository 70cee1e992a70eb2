/** Strict YAML: where every key is, and what is refused that plain YAML would take. */
import { describe, expect, test } from "bun:test";
import { parseYaml } from "../../../src/config/yaml.ts";

function problemsOf(text: string): readonly string[] {
  const parsing = parseYaml(text, "f.yaml");
  if ("parsed" in parsing) return [];
  return parsing.problems.map((problem) => `${problem.where} ${problem.message}`);
}

function locate(text: string, path: string): string {
  const parsing = parseYaml(text, "f.yaml");
  if ("problems" in parsing) throw new Error(JSON.stringify(parsing.problems));
  return parsing.parsed.locate(path);
}

describe("CF-01: refused, with the position", () => {
  const table: readonly (readonly [string, string, string])[] = [
    ["a duplicate key", "a: 1\nb: 2\na: 3\n", 'f.yaml:3:1 "a" is given twice; first in line 1'],
    ["a nested duplicate", "a:\n  b: 1\n  b: 2\n", 'f.yaml:3:3 "b" is given twice'],
    ["a quoted duplicate", 'a: 1\n"a": 2\n', 'f.yaml:2:1 "a" is given twice'],
    ["a duplicate in flow style", "x: {a: 1, a: 2}\n", 'f.yaml:1:11 "a" is given twice'],
    ["a duplicate in a list's map", "x:\n  - a: 1\n    a: 2\n", 'f.yaml:3:5 "a" is given twice'],
    ["a flow map over lines", "x: {\n  a: 1,\n  a: 2\n}\n", 'f.yaml:3:3 "a" is given twice'],
    ["an anchor", "a: &x 1\n", "f.yaml:1:4 anchors"],
    ["a tag", "a: !!str 1\n", "f.yaml:1:4 anchors"],
    ["a merge", "<<: {a: 1}\nb: 2\n", "f.yaml:1:1 merge keys"],
    ["two documents", "a: 1\n---\nb: 2\n", "f.yaml:2:1 one document"],
    ["an open bracket", "a: 1\nb: [1,\n", "f.yaml:2 "],
    ["an open quote", "a: 1\nb: 'x\n", "f.yaml:2 "],
    ["a tab", "a:\n\tb: 1\n", "f.yaml:2 "],
    ["a huge file", `a: ${"x".repeat(300_000)}`, "f.yaml the file is 300003 characters"],
  ];
  for (const [name, text, expected] of table) {
    test(name, () => expect(problemsOf(text).join("\n")).toContain(expected));
  }
});

describe("accepted", () => {
  const table: readonly (readonly [string, string])[] = [
    ["equal keys in different maps", "a:\n  x: 1\nb:\n  x: 1\n"],
    ["equal keys in list elements", "a:\n  - x: 1\n  - x: 1\nb: 2\n"],
    ["a list at its key's indentation", "a:\n- x: 1\n- x: 2\nb:\n- y: 1\n"],
    ["keys inside a block scalar", "a: |\n  x: 1\n  x: 2\nb: 1\n"],
    ["maps in a flow list", "a: [{x: 1}, {x: 1}]\n"],
    ["colons and hashes in quotes", "a: \"x: 1 # y\"\nb: 'it''s: 1'\n"],
    ["a URL", "a: https://h:1/x\nb: [https://h:1/x, y]\n"],
    ["comments and one separator", "# a: 1\n---\na: 1 # a: 2\n"],
  ];
  for (const [name, text] of table) test(name, () => expect(problemsOf(text)).toEqual([]));
});

describe("positions", () => {
  const text = "a:\n  b: 1\n  c:\n    - d: 1\n    - d: 2\n      e: {f: 1}\ng: [{h: 1}, {h: 2}]\n";
  const table: readonly (readonly [string, string])[] = [
    ["a.b", "f.yaml:2:3"],
    ["a.c[1].d", "f.yaml:5:7"],
    ["a.c[1].e.f", "f.yaml:6:11"],
    ["g[1].h", "f.yaml:7:14"],
    ["a.c[1].missing.deep", "f.yaml:5:5"],
    ["a.missing", "f.yaml:1:1"],
    ["missing", "f.yaml"],
  ];
  for (const [path, expected] of table) {
    test(path, () => expect(locate(text, path)).toBe(expected));
  }
});
