/**
 * Shows that each check of tidy can fail: small made-up trees with one broken rule each, and the same tree mended.
 */
import { describe, expect, test } from "bun:test";
import { checkCircles, type KnownCircle } from "./support/tidy/circles.ts";
import { checkHomes, checkLayers, checkReachable } from "./support/tidy/layers.ts";
import { checkErrorNames, checkPairs, checkPermissions, listRpcs } from "./support/tidy/tables.ts";
import { codeOnly, parseSource, type Tree } from "./support/tidy/tree.ts";
import { checkLooseEnds, checkWords } from "./support/tidy/words.ts";

function treeOf(files: Readonly<Record<string, string>>): Tree {
  return Object.entries(files).map(([path, text]) => parseSource(path, text));
}

function messages(findings: readonly { readonly message: string }[]): readonly string[] {
  return findings.map((one) => one.message);
}

const header = "/**\n * What it decides.\n */\n";

describe("parseSource", () => {
  const imports = (text: string) =>
    parseSource("src/policy/decide.ts", text).imports.map(
      (one) => `${one.isTypeOnly ? "type " : ""}${one.target}`,
    );

  test.each([
    [`import { a } from "./a.ts"; a();`, ["src/policy/a.ts"]],
    [`import type { A } from "../lib/a.ts";`, ["type src/lib/a.ts"]],
    [`import { type A, b } from "../lib/a.ts"; b();`, ["src/lib/a.ts"]],
    [`import {\n  type A,\n  type B,\n} from "../lib/a.ts";`, ["type src/lib/a.ts"]],
    [`import "../lib/a.ts";`, ["src/lib/a.ts"]],
    [`const a = await import("../cli/a.ts");`, ["src/cli/a.ts"]],
    [`type A = import("../cli/a.ts").A;`, ["type src/cli/a.ts"]],
    [`export { a } from "../lib/a.ts";`, ["src/lib/a.ts"]],
    [`import * as grpc from "@grpc/grpc-js/build/x.js"; grpc.a();`, ["@grpc/grpc-js"]],
    [`import ws from "../../node_modules/ws/lib/a.js"; ws();`, ["ws"]],
    [`import { Database } from "bun:sqlite"; new Database();`, ["bun:sqlite"]],
    [`// import { a } from "./a.ts"\n`, []],
  ])("%s", (text, expected) => expect(imports(text)).toEqual(expected));
});

describe("checkLayers", () => {
  const layers = (path: string, text: string) => messages(checkLayers(treeOf({ [path]: text })));

  test.each([
    ["lib imports a domain", "src/lib/a.ts", `import { b } from "../policy/b.ts"; b();`],
    ["sideways", "src/policy/a.ts", `import { b } from "../cache/b.ts"; b();`],
    ["sideways, by type", "src/policy/a.ts", `import type { B } from "../cache/b.ts";`],
    ["one edge to the other", "src/agents/a.ts", `import { b } from "../servers/pool.ts"; b();`],
    [
      "compose from below",
      "src/admin/a.ts",
      `import { b } from "../compose/start-gateway.ts"; b();`,
    ],
    [
      "behaviour of a shape's file",
      "src/agents/a.ts",
      `import { b } from "../policy/rule.ts"; b();`,
    ],
    ["a folder without a row", "src/stuff/a.ts", ""],
    ["out of the tree", "src/lib/a.ts", `import { b } from "../../test/b.ts"; b();`],
    ["dynamic", "src/servers/a.ts", `await import("../admin/server.ts");`],
  ])("refuses: %s", (_name, path, text) => expect(layers(path, text)).toHaveLength(1));

  test.each([
    ["downwards", "src/policy/a.ts", `import { b } from "../lib/b.ts"; b();`],
    ["within a folder", "src/policy/a.ts", `import { b } from "./b.ts"; b();`],
    [
      "a stage to its capability",
      "src/pipeline/stages/a.ts",
      `import { b } from "../../cache/b.ts"; b();`,
    ],
    ["a shape, by type", "src/cache/a.ts", `import type { B } from "../identity/principal.ts";`],
    [
      "an error class of a shape",
      "src/audit/a.ts",
      `import { B } from "../storage/store.ts"; B();`,
    ],
    [
      "compose, anything",
      "src/compose/start-gateway.ts",
      `import { b } from "../agents/listener.ts"; b();`,
    ],
    [
      "the command line to compose",
      "src/cli/serve.ts",
      `import { b } from "../compose/start-gateway.ts"; b();`,
    ],
  ])("allows: %s", (_name, path, text) => expect(layers(path, text)).toEqual([]));
});

describe("checkCircles", () => {
  const found = (files: Readonly<Record<string, string>>, known: readonly KnownCircle[] = []) =>
    checkCircles(treeOf(files), known).map(({ path }) => path);
  const call = `import { b } from "./b.ts"; b();`;
  const pair = { "src/lib/a.ts": call, "src/lib/b.ts": `import { a } from "./a.ts"; a();` };
  const reason = "one idea in two files";

  test.each([
    ["two files", pair, ["src/lib/a.ts, src/lib/b.ts"]],
    [
      "closed by a type",
      { ...pair, "src/lib/b.ts": `import type { A } from "./a.ts";` },
      ["src/lib/a.ts, src/lib/b.ts"],
    ],
    [
      "three over folders, without what leads to them or comes after",
      {
        "src/cli/before.ts": `import { b } from "../policy/b.ts"; b();`,
        "src/policy/b.ts": `import type { C } from "./c.ts";`,
        "src/policy/c.ts": `import { d } from "../lib/d.ts"; d();`,
        "src/lib/d.ts": `import { b } from "../policy/b.ts"; import { e } from "./e.ts"; b(e);`,
        "src/lib/e.ts": "",
      },
      ["src/lib/d.ts, src/policy/b.ts, src/policy/c.ts"],
    ],
    ["a file that imports itself", { "src/lib/b.ts": call }, ["src/lib/b.ts"]],
    [
      "two circles with one way between them",
      {
        ...pair,
        "src/lib/c.ts": `import { a } from "./a.ts"; import { d } from "./d.ts"; a(d);`,
        "src/lib/d.ts": `import { c } from "./c.ts"; c();`,
      },
      ["src/lib/a.ts, src/lib/b.ts", "src/lib/c.ts, src/lib/d.ts"],
    ],
  ])("finds: %s", (_name, files, circles) => expect(found(files)).toEqual(circles));

  test("allows two ways to one file", () => {
    const files = {
      "src/lib/a.ts": `import { b } from "./b.ts"; import { c } from "./c.ts"; b(c);`,
      "src/lib/b.ts": `import { d } from "./d.ts"; d();`,
      "src/lib/c.ts": `import { d } from "./d.ts"; d();`,
      "src/lib/d.ts": `import { join } from "node:path"; join();`,
    };
    expect(found(files)).toEqual([]);
  });

  test("allows a listed one as it is, and wants it off the list when it is gone or has changed", () => {
    const known = [{ paths: ["src/lib/b.ts", "src/lib/a.ts"], reason }];
    expect(found(pair, known)).toEqual([]);
    expect(found({ ...pair, "src/lib/b.ts": "" }, known)).toEqual(["src/lib/a.ts, src/lib/b.ts"]);
    const grown = {
      "src/lib/a.ts": call,
      "src/lib/b.ts": `import { c } from "./c.ts"; c();`,
      "src/lib/c.ts": `import { a } from "./a.ts"; a();`,
    };
    expect(found(grown, known)).toEqual([
      "src/lib/a.ts, src/lib/b.ts, src/lib/c.ts",
      "src/lib/a.ts, src/lib/b.ts",
    ]);
  });
});

describe("checkHomes", () => {
  const found = (path: string, text: string) => messages(checkHomes(treeOf({ [path]: text })));

  test("refuses a package away from home", () => {
    const text = `import { sql } from "kysely"; sql();`;
    expect(found("src/admin/a.ts", text)).toEqual(["imports kysely, whose home is src/storage/"]);
    expect(found("src/storage/a.ts", text)).toEqual([]);
  });

  test("refuses a package nobody has housed, and a type of one", () => {
    expect(found("src/lib/a.ts", `import a from "left-pad"; a();`)).toHaveLength(1);
    expect(found("src/policy/a.ts", `import type { Pool } from "pg";`)).toHaveLength(1);
  });

  test("lets the admin client alone speak gRPC on the command line", () => {
    const text = `import * as grpc from "@grpc/grpc-js"; grpc.a();`;
    expect(found("src/cli/admin-client.ts", text)).toEqual([]);
    expect(found("src/cli/serve.ts", text)).toHaveLength(1);
  });
});

test("checkReachable finds what no entry point needs", () => {
  const tree = treeOf({
    "src/main.ts": `import { a } from "./a.ts"; a();`,
    "src/a.ts": `import type { B } from "./b.ts";`,
    "src/b.ts": "export interface B {}",
    "src/c.ts": `import "./d.ts";`,
    "src/d.ts": "",
  });
  const dead = checkReachable(tree, ["src/main.ts"]).map((one) => one.path);
  expect(dead).toEqual(["src/c.ts", "src/d.ts"]);
});

describe("checkWords", () => {
  const found = (text: string, path = "src/policy/decide.ts") =>
    messages(checkWords(treeOf({ [path]: text })));

  test.each([
    "process.env.HOME;",
    "process.exit(1);",
    "Date.now();",
    "new Date();",
    "performance.now();",
    "Math.random();",
    "console.log(1);",
    "process.stdout.write('');",
    "export default 1;",
    `export * from "./other.ts";`,
    "x as unknown as Y;",
    "class CallManager {}",
    "const requestHandler = 1;",
    "const data = 1;",
    `new Function("x");`,
  ])("refuses `%s`", (line) => expect(found(`${header}${line}\n`)).toHaveLength(1));

  test.each([
    "// Date.now() is read elsewhere.",
    `const words = "process.exit";`,
    "new Date(nowMs);",
    "const databases = 1;",
    "server.setRequestHandler(schema, answer);",
    "const processExit = 1;",
  ])("allows `%s`", (line) => expect(found(`${header}${line}\n`)).toEqual([]));

  test("looks into what a template substitutes", () => {
    expect(found(`${header}const a = \`\${Date.now()}\`;\n`)).toHaveLength(1);
  });

  test("lets each banned call stand in its one file", () => {
    expect(found(`${header}Date.now();\n`, "src/lib/clock.ts")).toEqual([]);
    expect(found(`${header}process.exit(0);\n`, "src/main.ts")).toEqual([]);
  });

  test("wants a header, a telling name and a bounded length", () => {
    expect(found("export const a = 1;\n")).toHaveLength(1);
    expect(found(header, "src/policy/utils.ts")).toHaveLength(1);
    expect(found(header, "src/policy/index.ts")).toHaveLength(1);
    expect(found(header, "src/policy/decideAll.ts")).toHaveLength(1);
    expect(found(`${header}${"a();\n".repeat(300)}`)).toHaveLength(1);
    expect(found(`${header}${"a();\n".repeat(200)}`)).toEqual([]);
  });
});

test("checkLooseEnds finds .only and notes without a link", () => {
  const found = (text: string) => checkLooseEnds(treeOf({ "test/unit/a.test.ts": text })).length;
  expect(found("test.only('a', b);")).toBe(1);
  expect(found("// TODO: later\n")).toBe(1);
  expect(found("/**\n * FIXME\n */\n")).toBe(1);
  expect(found("// TODO: see https://example.org/issue/1\n")).toBe(0);
  expect(found("test('a', b); // all of them\n")).toBe(0);
});

test("checkPairs wants the source beside the unit test", () => {
  const sources = treeOf({ "src/policy/decide.ts": "" });
  const found = (path: string) => checkPairs(sources, treeOf({ [path]: "" })).length;
  expect(found("test/unit/policy/decide.test.ts")).toBe(0);
  expect(found("test/unit/policy/decide.deny-rules.test.ts")).toBe(0);
  expect(found("test/unit/policy/fixtures.ts")).toBe(0);
  expect(found("test/unit/policy/explain.test.ts")).toBe(1);
  expect(found("test/unit/decide.test.ts")).toBe(1);
});

test("checkErrorNames wants each name given by somebody", () => {
  const sources = treeOf({
    "src/errors/catalogue.ts": `export const catalogue = ["policy-denied", "overloaded"];`,
    "src/pipeline/stages/authorize.ts": `createFault("policy-denied", "…");`,
  });
  const names = ["policy-denied", "overloaded"];
  const found = (awaited: Readonly<Record<string, string>>) =>
    messages(checkErrorNames(names, sources, awaited));
  expect(found({})).toEqual(["nobody uses the error overloaded"]);
  expect(found({ overloaded: "limits/" })).toEqual([]);
  expect(found({ overloaded: "limits/", "policy-denied": "policy/" })).toHaveLength(1);
});

test("checkPermissions wants a row for each RPC and no others", () => {
  const methods = { GetClient: {}, ListClients: {} };
  const descriptor = {
    nested: { admin: { nested: { v1: { nested: { ClientService: { methods } } } } } },
  };
  const rpcs = listRpcs(descriptor);
  expect(rpcs).toEqual(["ClientService/GetClient", "ClientService/ListClients"]);
  expect(checkPermissions(rpcs, rpcs)).toEqual([]);
  expect(checkPermissions(rpcs, ["ClientService/GetClient", "ClientService/Gone"])).toHaveLength(2);
});

test("codeOnly leaves code and removes comments and the insides of strings", () => {
  const text = `a("x // y"); // z\n/* q */ b('it\\'s', \`t\`);`;
  expect(codeOnly(text)).toBe(`a(""); \n b('', \`\`);`);
});
