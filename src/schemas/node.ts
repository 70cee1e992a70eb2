/**
 * A compiled schema, and how a value is held against it: each schema is a list of checks, each keyword one of them.
 * Nothing of a schema ever becomes code. All work of one evaluation is paid from one purse of steps, so neither a
 * schema nor a value can make it long; `Exhausted` is thrown when the purse is empty.
 */
export interface SchemaNode {
  /** The document, or the part of it with an `$id` of its own, that this schema belongs to. */
  readonly resource: Resource;
  checks: readonly Check[];
  /** Whether it asks which members and elements others have evaluated. */
  collects: boolean;
}

export type Check = (
  value: unknown,
  run: Run,
  at: Place | undefined,
  seen: Seen | undefined,
) => boolean;

export interface Resource {
  readonly uri: string;
  readonly root: object;
  readonly anchors: Map<string, object>;
  /** Compiled targets of `$dynamicRef`, by name. */
  readonly dynamicAnchors: Map<string, SchemaNode>;
}

/** A position in the value; undefined is its root. */
export interface Place {
  readonly above: Place | undefined;
  readonly key: string | number;
}

/** What keywords beside `unevaluated*` have evaluated of one object or array. */
export interface Seen {
  readonly members: Set<string>;
  readonly elements: Set<number>;
}

export interface Violation {
  /** JSON Pointer into the value; empty for the value itself. */
  readonly path: string;
  /** What the schema wants there; holds nothing of the value. */
  readonly expected: string;
}

export interface Run {
  stepsLeft: number;
  depth: number;
  /** Above zero while a branch is tried that may fail. */
  quiet: number;
  readonly violations: Violation[];
  /** Resources entered, outermost first, for `$dynamicRef`. */
  readonly scope: Resource[];
}

export class Exhausted extends Error {}

/** One step is about 0.1 µs; a large honest call takes some ten thousand. */
const stepsMax = 2_000_000;
/** Schemas within schemas during one evaluation: arguments are at most 64 deep. */
const evaluationDepthMax = 1_000;
const violationsMax = 5;
const pathCharsMax = 200;

export function createRun(): Run {
  return { stepsLeft: stepsMax, depth: 0, quiet: 0, violations: [], scope: [] };
}

export function spend(run: Run, steps: number): void {
  run.stepsLeft -= steps;
  if (run.stepsLeft < 0) throw new Exhausted("steps");
}

/** Whether the value is valid; goes on after a violation only as long as it is worth telling more. */
export function evaluate(
  node: SchemaNode,
  value: unknown,
  run: Run,
  at: Place | undefined,
  seen: Seen | undefined,
): boolean {
  spend(run, 1);
  run.depth += 1;
  if (run.depth > evaluationDepthMax) throw new Exhausted("depth");
  const entered = run.scope.at(-1) !== node.resource;
  if (entered) run.scope.push(node.resource);
  const own = node.collects ? createSeen() : seen;
  let valid = true;
  for (const check of node.checks) {
    if (check(value, run, at, own)) continue;
    valid = false;
    if (isDecided(run)) break;
  }
  if (entered) run.scope.pop();
  run.depth -= 1;
  if (valid && own !== seen && own !== undefined && seen !== undefined) addSeen(seen, own, run);
  return valid;
}

/** The same for a branch that may fail: it tells no violations, and what a failed one has evaluated does not count. */
export function tryOut(
  node: SchemaNode,
  value: unknown,
  run: Run,
  at: Place | undefined,
  seen: Seen | undefined,
): boolean {
  run.quiet += 1;
  const own = seen && createSeen();
  const valid = evaluate(node, value, run, at, own);
  run.quiet -= 1;
  if (valid && own !== undefined && seen !== undefined) addSeen(seen, own, run);
  return valid;
}

/** Notes a violation and returns false. */
export function fail(run: Run, at: Place | undefined, expected: string): false {
  if (!isDecided(run)) run.violations.push({ path: renderPath(at), expected });
  return false;
}

/** Whether further violations would not be told. */
export function isDecided(run: Run): boolean {
  return run.quiet > 0 || run.violations.length >= violationsMax;
}

function createSeen(): Seen {
  return { members: new Set(), elements: new Set() };
}

function addSeen(to: Seen, from: Seen, run: Run): void {
  spend(run, from.members.size + from.elements.size);
  for (const name of from.members) to.members.add(name);
  for (const index of from.elements) to.elements.add(index);
}

function renderPath(at: Place | undefined): string {
  let path = "";
  for (let place = at; place !== undefined; place = place.above) {
    const key = String(place.key).slice(0, pathCharsMax);
    path = `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}${path}`;
  }
  return path.length > pathCharsMax ? `${path.slice(0, pathCharsMax)}…` : path;
}
