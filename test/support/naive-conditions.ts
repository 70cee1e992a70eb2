/**
 * A small vocabulary of conditions with their meaning written out by hand, and `&&`, `||` and `!` over them by truth
 * table. A meaning is how it may turn out: some of T(rue), F(alse) and E(rror); all three while the call is not known.
 */
import type { Asker, Question } from "../../src/policy/rule.ts";

export interface NaiveFacts {
  readonly asker: Asker;
  readonly roles: readonly string[];
  readonly question: Question;
  readonly tier: string | undefined;
}

type Meaning = (facts: NaiveFacts, given: Record<string, unknown>) => boolean | "E";
const anyhow = "TFE";

const aboutPrincipal: Readonly<Record<string, Meaning>> = {
  'principal.tenant == "red"': ({ asker }) =>
    asker.tenant === undefined ? "E" : asker.tenant === "red",
  "has(principal.workspace)": ({ asker }) => asker.workspace !== undefined,
  '"admin" in principal.roles': ({ roles }) => roles.includes("admin"),
  "principal.claims.level == 3": ({ asker }) => {
    const level = asker.claims?.level;
    return typeof level === "number" ? level === 3 : "E";
  },
  'call.risk_tier == "high"': ({ tier }) => (tier === undefined ? "E" : tier === "high"),
  'call.target.startsWith("read")': ({ question }) => question.target.startsWith("read"),
  'call.action == "list_tools"': () => false,
};

const aboutCall: Readonly<Record<string, Meaning>> = {
  'arguments.path == "/a"': (_, { path }) => (typeof path === "string" ? path === "/a" : "E"),
  'arguments.path != "/a"': (_, { path }) => (typeof path === "string" ? path !== "/a" : "E"),
  "arguments.path == null": (_, given) => ("path" in given ? given.path === null : "E"),
  "has(arguments.path)": (_, given) => "path" in given,
  'arguments.path.isUnder("/a")': (_, { path }) =>
    typeof path !== "string" || /\.\.|%/.test(path) ? "E" : /^\/a(\/|$)/.test(path),
  'arguments.path in ["/a", "/b"]': (_, { path }) =>
    typeof path === "string" ? ["/a", "/b"].includes(path) : "E",
  "arguments.count <= 5": (_, { count }) =>
    typeof count === "number" && Math.abs(count) < 2 ** 53 ? count <= 5 : "E",
  'arguments.tags.exists(t, t == "x")': (_, { tags }) =>
    !Array.isArray(tags)
      ? "E"
      : tags.includes("x") || (tags.every((t) => typeof t === "string") ? false : "E"),
  'arguments.tags.all(t, t == "x")': (_, { tags }) => {
    if (!Array.isArray(tags)) return "E";
    if (tags.some((t) => typeof t === "string" && t !== "x")) return false;
    return tags.every((t) => t === "x") ? true : "E";
  },
  '"x" in arguments.tags': (_, { tags }) =>
    !Array.isArray(tags)
      ? "E"
      : tags.includes("x") || (tags.every((t) => typeof t === "string") ? false : "E"),
  'peer.inNetwork("10.0.0.0/8")': ({ question }) => question.call?.peer.startsWith("10.") === true,
  'time < timestamp("2026-01-01T00:00:00Z")': ({ question }) =>
    (question.call?.nowMs ?? 0) < Date.UTC(2026, 0, 1),
};

export const atoms: readonly string[] = [...Object.keys(aboutPrincipal), ...Object.keys(aboutCall)];

/** Of an atom, or of `!(x)`, `(x) && (y)`, `(x) || (y)`. */
export function meaningOf(text: string, facts: NaiveFacts): string {
  const principal = aboutPrincipal[text];
  if (principal !== undefined) return letter(principal(facts, {}));
  const call = aboutCall[text];
  if (call !== undefined) {
    const { call: made } = facts.question;
    return made === undefined
      ? anyhow
      : letter(call(facts, JSON.parse(made.argumentsText ?? "{}")));
  }
  if (text.startsWith("!")) {
    const inner = meaningOf(text.slice(2, -1), facts);
    return inner.replace(/[TF]/g, (one) => (one === "T" ? "F" : "T"));
  }
  const [left, operator, right] = splitPair(text);
  const seen = new Set<string>();
  for (const a of meaningOf(left, facts)) {
    for (const b of meaningOf(right, facts))
      seen.add(operator === "&&" ? both(a, b) : either(a, b));
  }
  return [...seen].sort().reverse().join("");
}

function both(a: string, b: string): string {
  if (a === "F" || b === "F") return "F";
  return a === "E" || b === "E" ? "E" : "T";
}

function either(a: string, b: string): string {
  if (a === "T" || b === "T") return "T";
  return a === "E" || b === "E" ? "E" : "F";
}

function letter(value: boolean | "E"): string {
  return value === "E" ? "E" : value ? "T" : "F";
}

function splitPair(text: string): readonly [string, string, string] {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "(") depth += 1;
    if (text[at] === ")") depth -= 1;
    if (depth === 0) return [text.slice(1, at), text.slice(at + 2, at + 4), text.slice(at + 6, -1)];
  }
  throw new Error(`no condition of the vocabulary: ${text}`);
}
