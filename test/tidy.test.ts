/**
 * The architecture as a test: who may import whom, and nobody round about; which folder owns which package, banned
 * words and calls, dead files, tables that must agree. The rules are in test/support/tidy; tidy-checks.test.ts shows
 * that each can fail.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { entryPoints } from "../scripts/build.ts";
import { catalogue } from "../src/errors/catalogue.ts";
import { checkCircles } from "./support/tidy/circles.ts";
import { checkHomes, checkLayers, checkReachable, homes } from "./support/tidy/layers.ts";
import { checkErrorNames, checkPairs, checkPermissions, listRpcs } from "./support/tidy/tables.ts";
import { type Finding, readTree } from "./support/tidy/tree.ts";
import { checkLooseEnds, checkWords, longFiles } from "./support/tidy/words.ts";

const root = resolve(import.meta.dir, "..");
const sources = readTree(root, ["src/**/*.ts"]);
const written = sources.filter((file) => !file.path.startsWith("src/gen/"));
const isWhole = entryPoints.every((path) => existsSync(join(root, path)));

describe("tidy", () => {
  test("layers: every import points down", () => expectNone(checkLayers(sources)));

  test("circles: no files import each other round about, types included", () => {
    expectNone(checkCircles(sources));
  });

  test("packages: each is named in its home folder only", () => expectNone(checkHomes(written)));

  test("packages: every dependency has a home, and every home a dependency", () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const housed = Object.keys(homes).filter((name) => !name.startsWith("bun:"));
    expect(Object.keys(dependencies).sort()).toEqual(housed.sort());
  });

  test("words: headers, banned calls, names and sizes", () => expectNone(checkWords(written)));

  test("words: the list of long files names only files that are there", () => {
    const paths = sources.map((file) => file.path);
    expect(Object.keys(longFiles).filter((path) => !paths.includes(path))).toEqual([]);
  });

  test("loose ends: nothing left behind in sources, tests and scripts", () => {
    const everything = readTree(root, [
      "{src,test,scripts}/**/*.ts",
      "{proto,config,deploy}/**/*.{proto,yaml,yml,service}",
    ]).filter((file) => !file.path.startsWith("test/support/tidy/"));
    const others = everything.filter((file) => file.path !== "test/tidy-checks.test.ts");
    expectNone(checkLooseEnds(others));
  });

  test("pairs: each unit test stands where its source stands", () => {
    expectNone(checkPairs(sources, readTree(root, ["test/unit/**/*.ts"])));
  });

  // The three below need the whole house; until src/main.ts and the workers exist they have nothing to judge.
  test.skipIf(!isWhole)("dead files: every source is reached from an entry point", () => {
    expectNone(checkReachable(written, [...entryPoints]));
  });

  test.skipIf(!isWhole)("errors: every name of the catalogue is used", () => {
    expectNone(checkErrorNames(Object.keys(catalogue), sources));
  });

  const descriptorPath = join(root, "src/gen/descriptor.json");
  test.skipIf(!isWhole && !existsSync(descriptorPath))(
    "permissions: a row for every RPC",
    async () => {
      const rpcs = listRpcs(JSON.parse(readFileSync(descriptorPath, "utf8")));
      expect(rpcs).not.toEqual([]);
      const { rpcPermissions } = await import(join(root, "src/admin/permissions.ts"));
      expectNone(checkPermissions(rpcs, listRows(rpcPermissions)));
    },
  );
});

/** The table's rows as `Service/Method`; its methods are written as the functions that serve them. */
function listRows(
  permissions: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): readonly string[] {
  const rpcName = (name: string) => name.charAt(0).toUpperCase() + name.slice(1);
  return Object.entries(permissions).flatMap(([service, rows]) =>
    Object.keys(rows).map((method) => `${service}/${rpcName(method)}`),
  );
}

function expectNone(findings: readonly Finding[]): void {
  expect(findings.map(({ path, message }) => `${path}: ${message}`)).toEqual([]);
}
