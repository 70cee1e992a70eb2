/**
 * Answers to a server's question that are none: the agent's side refuses with an error, or takes its whole call back.
 * The modern revision has no word for either (section 2.6), a legacy server has both; so inside the gateway they
 * travel among the answers under names of our own, and no server sees those. Pure.
 */
import { readInputResponses } from "./input-required.ts";
import {
  findMember,
  type JsonObject,
  memberText,
  objectMember,
  stringMember,
} from "./json-view.ts";
import type { ServerErrorBody } from "./messages.ts";

const refusedKey = "mcp-gateway/refused";
const withdrawnKey = "mcp-gateway/withdrawn";
/** What the older revisions name for a user who refuses. */
const userRejected = -1;

export const withdrawalText = `{"${withdrawnKey}":true}`;

/** A refusal with the source text of a JSON-RPC error object. */
export function renderRefusal(errorText: string): string {
  return `{"${refusedKey}":${errorText}}`;
}

/** The error that an answer stands for; undefined for a real answer. */
export function readRefusal(answer: JsonObject): ServerErrorBody | undefined {
  const error = objectMember(answer, refusedKey);
  if (error === undefined) return undefined;
  const codeText = memberText(error, "code") ?? "";
  return {
    code: /^-?[0-9]{1,9}$/.test(codeText) ? Number(codeText) : userRejected,
    message: stringMember(error, "message") ?? "Refused",
    dataText: memberText(error, "data"),
  };
}

export function isWithdrawal(answer: JsonObject): boolean {
  return findMember(answer, withdrawnKey) !== undefined;
}

/** The first refusal or withdrawal among the answers that a request brings. */
export function findRefusal(
  params: JsonObject | undefined,
): ServerErrorBody | "withdrawn" | undefined {
  if (params === undefined || findMember(params, "inputResponses") === undefined) return undefined;
  for (const answer of readInputResponses(params).values()) {
    const refusal = isWithdrawal(answer) ? "withdrawn" : readRefusal(answer);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}
