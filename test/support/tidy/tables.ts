/**
 * Tables that must agree: unit tests with sources, RPCs with permissions, error names with their uses.
 */
import type { Finding, Tree } from "./tree.ts";

/** Each unit test stands at the path of the source it tests (`name.test.ts`, or `name.behaviour.test.ts`). */
export function checkPairs(sources: Tree, unitTests: Tree): readonly Finding[] {
  const paths = new Set(sources.map((file) => file.path));
  return unitTests
    .filter((file) => file.path.endsWith(".test.ts"))
    .filter((file) => !paths.has(sourceOf(file.path)))
    .map(({ path }) => ({ path, message: `there is no ${sourceOf(path)} for it to test` }));
}

/** Errors whose part of the house is not built yet, and which part that is. */
export const awaitedErrors: Readonly<Record<string, string>> = {
  "tool-quarantined": "guard/",
  "upstream-circuit-open": "servers/health",
};

/**
 * Every error of the catalogue is given by somebody: a name nobody uses is a promise nobody keeps. An awaited one
 * that is given by now comes off the list.
 */
export function checkErrorNames(
  names: readonly string[],
  sources: Tree,
  awaited: Readonly<Record<string, string>> = awaitedErrors,
): readonly Finding[] {
  const path = "src/errors/catalogue.ts";
  const texts = sources.filter((file) => file.path !== path).map((file) => file.text);
  return names.flatMap((name) => {
    const isGiven = texts.some((text) => text.includes(`"${name}"`));
    const part = awaited[name];
    if (!isGiven && part === undefined) return [{ path, message: `nobody uses the error ${name}` }];
    if (isGiven && part !== undefined) {
      return [{ path, message: `${name} is in use: take it off awaitedErrors (tables.ts)` }];
    }
    return [];
  });
}

/** Every RPC of the descriptor has a row in the permission table, and no row is left without its RPC. */
export function checkPermissions(
  rpcs: readonly string[],
  permitted: readonly string[],
): readonly Finding[] {
  const path = "src/admin/permissions.ts";
  const missing = rpcs.filter((name) => !permitted.includes(name));
  const stale = permitted.filter((name) => !rpcs.includes(name));
  return [
    ...missing.map((name) => ({ path, message: `${name} has no row` })),
    ...stale.map((name) => ({ path, message: `${name} is no RPC of the descriptor` })),
  ];
}

/** Names of our own RPCs in a protobufjs JSON descriptor, as `Service/Method`; health and reflection are not ours. */
export function listRpcs(descriptor: unknown): readonly string[] {
  const rpcs: string[] = [];
  const visit = (name: string, node: unknown) => {
    if (typeof node !== "object" || node === null || name === "grpc") return;
    if ("methods" in node && typeof node.methods === "object" && node.methods !== null) {
      rpcs.push(...Object.keys(node.methods).map((method) => `${name}/${method}`));
    }
    if ("nested" in node && typeof node.nested === "object" && node.nested !== null) {
      for (const [child, value] of Object.entries(node.nested)) visit(child, value);
    }
  };
  visit("", descriptor);
  return rpcs;
}

function sourceOf(testPath: string): string {
  const path = testPath.replace(/^test\/unit\//, "src/");
  return path.replace(/(?:\.[a-z0-9-]+)?\.test\.ts$/, ".ts");
}
