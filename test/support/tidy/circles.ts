/**
 * Files that import each other round about, types included: none of them can be read, or moved, without the others.
 * Mostly a type stands in the file of another idea, or a file asks for more than it needs.
 */
import type { Finding, Tree } from "./tree.ts";

/** Files in one circle, and why it is left. */
export interface KnownCircle {
  readonly paths: readonly string[];
  readonly reason: string;
}

export const knownCircles: readonly KnownCircle[] = [];

/** Every circle is a known one; one that is gone, or has other files by now, comes off the list. */
export function checkCircles(
  tree: Tree,
  known: readonly KnownCircle[] = knownCircles,
): readonly Finding[] {
  const found = findCircles(tree).map(render);
  const listed = known.map(({ paths }) => render(paths));
  return [
    ...found
      .filter((circle) => !listed.includes(circle))
      .map((circle) => finding(circle, "undo it, or give the reason in knownCircles (circles.ts)")),
    ...listed
      .filter((circle) => !found.includes(circle))
      .map((circle) => finding(circle, "is none any more: take it off knownCircles (circles.ts)")),
  ];
}

/** Each set of files that all reach one another. */
function findCircles(tree: Tree): readonly (readonly string[])[] {
  const importsOf = new Map(
    tree.map(({ path, imports }) => [
      path,
      imports.filter((one) => !one.isPackage).map((one) => one.target),
    ]),
  );
  const reachOf = new Map([...importsOf.keys()].map((path) => [path, reachFrom(path, importsOf)]));
  const circles: string[][] = [];
  for (const [path, reached] of reachOf) {
    if (!reached.has(path) || circles.some((circle) => circle.includes(path))) continue;
    circles.push([...reached].filter((other) => reachOf.get(other)?.has(path)));
  }
  return circles;
}

/** What a file imports, and what that imports; itself only where there is a way back. */
function reachFrom(
  path: string,
  importsOf: ReadonlyMap<string, readonly string[]>,
): ReadonlySet<string> {
  const reached = new Set<string>();
  const waiting = [...(importsOf.get(path) ?? [])];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (reached.has(next)) continue;
    reached.add(next);
    waiting.push(...(importsOf.get(next) ?? []));
  }
  return reached;
}

function render(paths: readonly string[]): string {
  return [...paths].sort().join(", ");
}

function finding(circle: string, what: string): Finding {
  return { path: circle, message: `a circle of imports: ${what}` };
}
