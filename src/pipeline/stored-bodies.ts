/**
 * What was asked and answered, kept in the outcome's record where the operator chose so for the server's class of data.
 * Masked as replies are; a body that is too long is kept as its beginning, beside the digest of all of it that every
 * record has (ST-21). Called by the audit stage.
 */
import type { RecordDraft } from "../audit/record.ts";
import { type JsonObject, objectMember, objectText } from "../protocol/json-view.ts";
import type { Outcome } from "../protocol/messages.ts";
import type { Redact } from "../sanitize/redactor.ts";
import type { DataClass } from "../servers/spec.ts";
import { dataClassOf } from "./call-record.ts";
import type { Exchange } from "./exchange.ts";

export interface BodyRules {
  readonly arguments: ReadonlySet<DataClass>;
  readonly result: ReadonlySet<DataClass>;
  /** Characters of a body kept whole. */
  readonly charsMax: number;
}

interface BodyDeps {
  readonly bodies: BodyRules;
  readonly redact: Redact;
}

const nothing: RecordDraft["details"] = Object.freeze({});

/** The bodies to keep of a call, where any are; a result was masked on its way here. */
export function bodyDetails(
  x: Exchange,
  outcome: Outcome,
  deps: BodyDeps,
): RecordDraft["details"] | undefined {
  const { bodies } = deps;
  if (bodies.arguments.size === 0 && bodies.result.size === 0) return undefined;
  const dataClass = dataClassOf(x);
  if (dataClass === undefined) return undefined;
  const asked = bodies.arguments.has(dataClass) && x.request?.params;
  const answered = bodies.result.has(dataClass) && outcome.kind === "result";
  return {
    ...(asked && argumentDetails(asked, x, deps)),
    ...(answered && cut("result", objectText(outcome.result), bodies.charsMax)),
  };
}

function argumentDetails(
  params: JsonObject,
  x: Exchange,
  { bodies, redact }: BodyDeps,
): RecordDraft["details"] {
  const given = objectMember(params, "arguments");
  if (given === undefined) return nothing;
  const redacted = redact(given, x.decision?.obligations?.redaction);
  // Unread is not the same as clean.
  if ("fault" in redacted) return { argumentsWithheld: true };
  return cut("arguments", objectText(redacted.result), bodies.charsMax);
}

function cut(name: "arguments" | "result", text: string, charsMax: number): RecordDraft["details"] {
  if (text.length <= charsMax) return { [name]: text };
  return { [name]: `${text.slice(0, charsMax - 1)}…`, [`${name}Cut`]: true };
}
