/**
 * The trace a call belongs to (W3C Trace Context; revision 2026-07-28, section 2.10): read from the message's headers
 * or its `_meta`, and handed on to the server with a span of the gateway's own. Baggage may hold anything about
 * anybody, so only the keys an operator lists go on. Pure but for the span's random id.
 */
import { randomBytes } from "node:crypto";
import {
  findMember,
  objectMember,
  objectText,
  stringMember,
  withMembers,
} from "../protocol/json-view.ts";
import type { McpRequest } from "../protocol/messages.ts";
import type { Incoming } from "./incoming.ts";

export interface TracedCall {
  readonly request: McpRequest;
  readonly headers: Readonly<Record<string, string>>;
}

const keys = ["traceparent", "tracestate", "baggage"] as const;
const anyQuotedKey = /"(?:traceparent|tracestate|baggage)"/;
const traceparentForm = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const tracestateForm = /^[\x20-\x7e]{1,512}$/;
const baggageForm = /^[\x20-\x7e]{1,8192}$/;
const noHeaders: TracedCall["headers"] = Object.freeze({});

/** The same request where it says nothing of a trace. */
export function traceCall(
  incoming: Pick<Incoming, "traceparent" | "tracestate" | "baggage">,
  request: McpRequest,
  baggageKeys: readonly string[],
): TracedCall {
  const inMeta = metaTrace(request);
  if (inMeta === undefined && incoming.traceparent === undefined) {
    return { request, headers: noHeaders };
  }
  // The message's own first: on a socket the headers are those of the upgrade.
  const source = isWellFormed(inMeta?.traceparent) ? (inMeta ?? incoming) : incoming;
  const { traceparent, tracestate } = source;
  const baggage = allowedBaggage(inMeta?.baggage ?? incoming.baggage, baggageKeys);
  const onward: Record<string, string> = {};
  if (traceparent !== undefined && isWellFormed(traceparent)) {
    onward.traceparent = childOf(traceparent);
    if (tracestate !== undefined && tracestateForm.test(tracestate)) onward.tracestate = tracestate;
  }
  if (baggage !== undefined) onward.baggage = baggage;
  return {
    request: inMeta === undefined ? request : withMetaTrace(request, onward),
    headers: onward,
  };
}

function isWellFormed(traceparent: string | undefined): boolean {
  return traceparent !== undefined && traceparentForm.test(traceparent);
}

function childOf(traceparent: string): string {
  return `${traceparent.slice(0, 36)}${randomBytes(8).toString("hex")}${traceparent.slice(-3)}`;
}

/** What `_meta` says of a trace; undefined where it says nothing. */
function metaTrace({
  params,
}: McpRequest): Partial<Record<(typeof keys)[number], string>> | undefined {
  if (params === undefined || !anyQuotedKey.test(params.text)) return undefined;
  const meta = objectMember(params, "_meta");
  if (meta === undefined || !keys.some((key) => findMember(meta, key))) return undefined;
  const found: Partial<Record<(typeof keys)[number], string>> = {};
  for (const key of keys) {
    const value = stringMember(meta, key);
    if (value !== undefined) found[key] = value;
  }
  return found;
}

/** Only the keys that the agent gave stay in `_meta`, each as it goes on, or not at all. */
function withMetaTrace(request: McpRequest, onward: Readonly<Record<string, string>>): McpRequest {
  const { params } = request;
  const meta = params && objectMember(params, "_meta");
  if (params === undefined || meta === undefined) return request;
  const changes: Record<string, string | undefined> = {};
  for (const key of keys) {
    if (findMember(meta, key) === undefined) continue;
    const value = onward[key];
    changes[key] = value === undefined ? undefined : JSON.stringify(value);
  }
  const metaText = objectText(withMembers(meta, changes));
  return { ...request, params: withMembers(params, { _meta: metaText }) };
}

/** The members of a baggage list whose keys are allowed; undefined where none is. */
function allowedBaggage(given: string | undefined, allowed: readonly string[]): string | undefined {
  if (given === undefined || allowed.length === 0 || !baggageForm.test(given)) return undefined;
  const kept = given.split(",").filter((member) => {
    return allowed.includes((member.split("=", 1)[0] ?? "").trim());
  });
  return kept.length === 0 ? undefined : kept.join(",").trim();
}
