/**
 * The conditions of rules, in CEL. The library parses and checks types, so that a misspelt member refuses the policy
 * with its place; what is evaluated is made here (`expression-compile.ts`), because a decision needs what no library
 * gives: comparison without coercion, bounded cost, and an answer while the call is not known yet.
 */
import type * as cel from "@marcbachmann/cel-js";
import { GatewayError } from "../errors/fault.ts";
import { once } from "../lib/once.ts";
import { compileNode } from "./expression-compile.ts";
import type { Facts } from "./expression-facts.ts";
import { ExpressionRefusal, needNode } from "./expression-nodes.ts";
import type { Value } from "./expression-values.ts";

/** Gives true, false, or a `NoValue`; never throws. */
export type Expression = (facts: Facts) => Value;

const lengthMax = 4096;
const limits = { maxAstNodes: 400, maxDepth: 32, maxListElements: 256, maxCallArguments: 4 };

/** What the library knows of a condition. Loaded with the first one: many gateways have none, and each would wait. */
const environment = once(() => {
  const { Environment }: typeof cel = require("@marcbachmann/cel-js");
  return new Environment({ limits })
    .registerVariable({
      name: "principal",
      schema: {
        id: "string",
        client_id: "string",
        subject: "string",
        issuer: "string",
        tenant: "string",
        workspace: "string",
        roles: "list<string>",
        groups: "list<string>",
        scopes: "list<string>",
        acr: "string",
        amr: "list<string>",
        claims: "map<string, dyn>",
      },
    })
    .registerVariable({
      name: "call",
      schema: {
        server: "string",
        kind: "string",
        target: "string",
        action: "string",
        risk_tier: "string",
      },
    })
    .registerVariable("arguments", "map<string, dyn>")
    .registerVariable("time", "google.protobuf.Timestamp")
    .registerVariable("peer", "string")
    .registerFunction("string.inNetwork(string): bool", declaredOnly)
    .registerFunction("string.isUnder(string): bool", declaredOnly);
});

/** `where` opens the message of a refusal: `rule "x": when`. Throws GatewayError invalid-params. */
export function compileExpression(text: string, where: string): Expression {
  if (text.length > lengthMax) {
    throw new GatewayError("invalid-params", `${where} is longer than ${lengthMax} characters`);
  }
  try {
    const parsed = environment().parse(text);
    const checked = parsed.check();
    if (!checked.valid) throw checked.error;
    if (checked.type !== "bool") {
      throw new ExpressionRefusal(`gives ${checked.type}, not bool: compare it with something`, 0);
    }
    const evaluate = compileNode(needNode(parsed.ast));
    return (facts) => evaluate({ facts, local: null });
  } catch (cause) {
    throw new GatewayError("invalid-params", `${where}: ${explainRefusal(cause, text)}`, { cause });
  }
}

/** What is wrong and where, in one line. */
function explainRefusal(cause: unknown, text: string): string {
  const { start, message } = readRefusal(cause);
  if (start === undefined) return message;
  const before = text.slice(0, start).split("\n");
  const near = text.slice(start, start + 40).split("\n", 1)[0];
  const column = (before.at(-1)?.length ?? 0) + 1;
  return `${message} (line ${before.length}, column ${column}: ${near})`;
}

function readRefusal(cause: unknown): { readonly message: string; readonly start?: number } {
  if (cause instanceof ExpressionRefusal) return { message: cause.message, start: cause.start };
  if (!(cause instanceof Error)) return { message: "cannot be used" };
  const summary = "summary" in cause && typeof cause.summary === "string" && cause.summary;
  const range = "range" in cause ? cause.range : undefined;
  const isPlaced = typeof range === "object" && range !== null && "start" in range;
  return {
    message: summary || cause.message,
    ...(isPlaced && typeof range.start === "number" && { start: range.start }),
  };
}

/** The library knows these by their types alone. */
function declaredOnly(): never {
  throw new Error("evaluated by expression-compile.ts");
}
