/**
 * When a request may be sent a second time: where the first surely was not carried out, or may be repeated harmlessly.
 * Where nobody can know, the caller is told so (UP-13, UP-14). Pure.
 */
import { stringMember } from "../protocol/json-view.ts";
import type { McpRequest } from "../protocol/messages.ts";
import { toErrorBody } from "./answer.ts";
import type { Link } from "./connection.ts";
import { type ServerSpec, toolSettingOf } from "./spec.ts";
import type { WireAnswer } from "./wire.ts";

/** Why a second try is safe and may help; undefined where it is not or cannot. */
export function whyAgain(
  spec: Pick<ServerSpec, "toolSettings">,
  { facts, wire }: Pick<Link, "facts"> & { readonly wire: Pick<Link["wire"], "isOpen"> },
  request: McpRequest,
  answer: WireAnswer,
): "session" | "era" | "headers" | "harmless" | undefined {
  if (answer.kind === "result") return undefined;
  const { status } = answer;
  if (answer.kind === "error") {
    const { code } = toErrorBody(answer);
    if (code === -32022) return "era";
    // The tool mirrors arguments into headers that we did not know of, or no longer know rightly.
    if (code === -32020 && request.method === "tools/call") return "headers";
    return facts.era === "legacy" && status === 404 ? "session" : undefined;
  }
  const { name } = answer.fault;
  if (name === "cancelled" || name === "upstream-timeout") return undefined;
  // A refusal by status, without an answer to our id: the session ended, or another server took the place.
  if (status === 404 || status === 400 || status === 405) {
    return facts.era === "legacy" ? "session" : "era";
  }
  if (name !== "upstream-unreachable") return undefined;
  if (!answer.mayHaveRun) return wire.isOpen() ? undefined : "session";
  return isHarmless(spec, request) ? "harmless" : undefined;
}

/** Reading changes nothing, and an operator vouched for the tools marked read-only. */
function isHarmless(
  spec: Pick<ServerSpec, "toolSettings">,
  { method, params }: McpRequest,
): boolean {
  if (method !== "tools/call") return true;
  const tool = params && stringMember(params, "name");
  return tool !== undefined && toolSettingOf(spec, tool)?.readOnly === true;
}
