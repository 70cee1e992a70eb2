/**
 * Checks the shape of what a server answered before anybody relies on it: an error needs an integer code and a
 * message, a result a `resultType` that this request may have. Both kinds of wire call it.
 */
import { findMember, memberText, stringMember } from "../protocol/json-view.ts";
import type { McpResponse, ServerErrorBody } from "../protocol/messages.ts";
import { failed, invalidAnswer } from "./faults.ts";
import type { WireAnswer } from "./wire.ts";

const integer = /^-?[0-9]{1,15}$/;

export function toAnswer(
  server: string,
  response: McpResponse,
  status: number | undefined,
  resultTypes: ReadonlySet<string> | undefined,
): WireAnswer {
  const { body } = response;
  if (response.outcome === "error") {
    const code = memberText(body, "code");
    const isWellFormed =
      code !== undefined && integer.test(code) && stringMember(body, "message") !== undefined;
    if (!isWellFormed) return failed(invalidAnswer(server, "error-shape"), true, status);
    return { kind: "error", body, status };
  }
  if (findMember(body, "resultType") === undefined) return { kind: "result", body };
  const type = stringMember(body, "resultType");
  const isKnown = type === "complete" || (type !== undefined && resultTypes?.has(type));
  if (isKnown) return { kind: "result", body };
  return failed(invalidAnswer(server, "result-type-unknown"), true, status);
}

export function toErrorBody(answer: Extract<WireAnswer, { kind: "error" }>): ServerErrorBody {
  return {
    code: Number(memberText(answer.body, "code")),
    message: stringMember(answer.body, "message") ?? "",
    dataText: memberText(answer.body, "data"),
    source: answer.body,
  };
}
