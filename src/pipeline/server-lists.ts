/**
 * Lists the gateway reads for itself: what a server has, by one member of each element, over all its pages.
 */
import { arrayMember, type JsonObject, readObject, stringMember } from "../protocol/json-view.ts";
import type { McpRequest } from "../protocol/messages.ts";
import { newestLegacyRevision } from "../protocol/revisions.ts";
import { nextCursorOf } from "../route/merge.ts";
import type { CallContext, Servers } from "../servers/client.ts";

const pagesMax = 50;
/** For all pages together. */
const listTimeoutMs = 5_000;

export interface ListMembers {
  readonly method: string;
  readonly listMember: string;
  /** The member of each element that is wanted. */
  readonly member: string;
}

/**
 * One member of every element of a list, over all pages; what cannot be read is left out. A server may list more for
 * who declares more: `clientCapabilitiesText` is source text.
 */
export async function readList(
  servers: Servers,
  server: string,
  { method, listMember, member }: ListMembers,
  clientCapabilitiesText = "{}",
  caller?: CallContext["caller"],
): Promise<readonly string[]> {
  const client = servers.get(server);
  if (client === undefined) return [];
  const values: string[] = [];
  let cursor: string | undefined;
  const signal = AbortSignal.timeout(listTimeoutMs);
  for (let page = 0; page < pagesMax; page += 1) {
    const context = { signal, timeoutMs: listTimeoutMs, headers: {}, caller };
    const request = listRequest(method, cursor, clientCapabilitiesText);
    const outcome = await client.call(request, context, () => {});
    if (outcome.kind !== "result") break;
    values.push(...membersOf(outcome.result, listMember, member));
    cursor = nextCursorOf(outcome.result);
    if (cursor === undefined) break;
  }
  return values;
}

function membersOf(result: JsonObject, listMember: string, member: string): readonly string[] {
  return (arrayMember(result, listMember) ?? []).flatMap((span) => {
    if (result.text[span.start] !== "{") return [];
    const value = stringMember(readObject(result.text, span.start), member);
    return value === undefined ? [] : [value];
  });
}

/** A list request of the gateway's own. */
export function listRequest(
  method: string,
  cursor: string | undefined,
  clientCapabilitiesText = "{}",
): McpRequest {
  const params = cursor === undefined ? undefined : readObject(JSON.stringify({ cursor }));
  return {
    kind: "request",
    idText: "0",
    method,
    params,
    envelope: {
      revision: newestLegacyRevision,
      clientInfoText: undefined,
      clientCapabilitiesText,
      logLevel: undefined,
      progressTokenText: undefined,
    },
  };
}
