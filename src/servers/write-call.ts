/**
 * Writes an agent's request for one link: the message in the era's words, the headers of HTTP-like bindings, how it is
 * taken back, and what it may be answered with. Pure but for the number the wire gives it.
 */
import { encodeHeaderValue } from "../protocol/headers.ts";
import { stringMember } from "../protocol/json-view.ts";
import type { McpRequest } from "../protocol/messages.ts";
import { type ParamHeader, paramHeaders } from "../protocol/param-headers.ts";
import { addCallHeaders } from "./bindings/http.ts";
import type { CallContext } from "./client.ts";
import type { Link } from "./connection.ts";
import { resultTypesOf } from "./features.ts";
import { legacyHeaders } from "./legacy/session.ts";
import { toLegacyTaskRequest } from "./legacy/task-messages.ts";
import { renderLegacy } from "./legacy/to-legacy.ts";
import { modernHeaders, renderModern } from "./modern.ts";
import { renderCancellation } from "./outgoing.ts";
import type { ServerSpec } from "./spec.ts";
import type { WireRequest } from "./wire.ts";

/** A request on a wire, but for who waits for it. */
export type WrittenCall = Omit<WireRequest, "signal" | "timeoutMs" | "onNotification">;

export type WriteCall = (
  link: Link,
  request: McpRequest,
  context: Pick<CallContext, "headers" | "principalId">,
  /** Source text of what makes a legacy server's call a task. */
  taskText: string | undefined,
) => WrittenCall;

export function createCallWriter(options: {
  readonly spec: Pick<ServerSpec, "transport" | "auth">;
  readonly ownInfoText: string;
  /** The arguments a tool mirrors into headers. */
  readonly paramHeaders: (tool: string) => readonly ParamHeader[];
}): WriteCall {
  const { kind } = options.spec.transport;
  const tellsUser = options.spec.auth?.tellsUser === true;
  const isHttp = kind === "streamable-http";
  const hasHeaders = isHttp || kind === "http-sse";

  function mirrored({ params }: McpRequest): Readonly<Record<string, string>> | undefined {
    const tool = params && stringMember(params, "name");
    if (tool === undefined || params === undefined) return undefined;
    const found = options.paramHeaders(tool);
    return found.length === 0 ? undefined : paramHeaders(found, params);
  }

  return ({ wire, facts }, request, context, taskText) => {
    const id = wire.nextId();
    const isModern = facts.era === "modern";
    const written = isModern ? request : toLegacyTaskRequest(request);
    const headers: Record<string, string> = {};
    if (hasHeaders) {
      addCallHeaders(headers, context.headers);
      if (tellsUser && context.principalId !== undefined) {
        headers["x-user-id"] = encodeHeaderValue(context.principalId);
      }
      Object.assign(headers, isModern ? modernHeaders(request) : legacyHeaders(facts.revision));
      if (isModern && request.method === "tools/call") Object.assign(headers, mirrored(request));
    }
    return {
      id,
      method: written.method,
      text: isModern
        ? renderModern(request, id, options.ownInfoText, facts.capabilitiesText)
        : renderLegacy(written, id, taskText),
      headers,
      cancellation: isModern && isHttp ? undefined : renderCancellation(id),
      resultTypes: isModern ? resultTypesOf(request, facts.capabilitiesText) : undefined,
    };
  };
}
