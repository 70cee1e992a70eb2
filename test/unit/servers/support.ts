/** Requests for the tests of this folder. */
import { readObject } from "../../../src/protocol/json-view.ts";
import type { Envelope, McpRequest } from "../../../src/protocol/messages.ts";

export function requestOf(
  method: string,
  paramsText: string | undefined,
  envelope: Partial<Envelope> = {},
): McpRequest {
  return {
    kind: "request",
    idText: '"a"',
    method,
    params: paramsText === undefined ? undefined : readObject(paramsText),
    envelope: {
      revision: "2026-07-28",
      clientInfoText: undefined,
      clientCapabilitiesText: "{}",
      logLevel: undefined,
      progressTokenText: undefined,
      ...envelope,
    },
  };
}
