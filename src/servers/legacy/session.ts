/**
 * Opens a session with a legacy server: `initialize`, the revision both speak, `notifications/initialized`; and tells
 * what the server said of itself in the modern model's words. `connection.ts` calls it once for each connection.
 */

import type { Fault } from "../../errors/fault.ts";
import type { CancelSignal } from "../../lib/cancellation.ts";
import { isLegacyRevision, newestLegacyRevision, type Revision } from "../../protocol/revisions.ts";
import { toErrorBody } from "../answer.ts";
import type { ServerFacts } from "../client.ts";
import { invalidAnswer } from "../faults.ts";
import { renderNotification, renderRequest } from "../outgoing.ts";
import type { Wire } from "../wire.ts";
import { readInitialize } from "./to-legacy.ts";

export type LegacyOpening =
  | { readonly kind: "open"; readonly facts: ServerFacts }
  /** The server says that it has outgrown `initialize`. */
  | { readonly kind: "modern" }
  | { readonly kind: "fault"; readonly fault: Fault; readonly status: number | undefined };

export interface HandshakeOptions {
  readonly server: string;
  /** Source text of the gateway's own client-info object. */
  readonly ownInfoText: string;
  /** Source text of the client capabilities an `initialize` declares. */
  readonly clientCapabilitiesText: string;
  readonly timeoutMs: number;
  readonly signal: CancelSignal;
}

export function legacyHeaders(revision: Revision): Record<string, string> {
  return { "mcp-protocol-version": revision };
}

/** Never rejects. */
export async function openLegacySession(
  wire: Wire,
  options: HandshakeOptions,
): Promise<LegacyOpening> {
  const { server, ownInfoText, clientCapabilitiesText, timeoutMs, signal } = options;
  const id = wire.nextId();
  const params =
    `{"protocolVersion":"${newestLegacyRevision}"` +
    `,"capabilities":${clientCapabilitiesText},"clientInfo":${ownInfoText}}`;
  const answer = await wire.request({
    id,
    method: "initialize",
    text: renderRequest(id, "initialize", params),
    headers: {},
    // The specification forbids taking `initialize` back.
    cancellation: undefined,
    signal,
    timeoutMs,
    onNotification: () => {},
  });
  if (answer.kind === "fault") return answer;
  if (answer.kind === "error") {
    const { code } = toErrorBody(answer);
    if (code === -32022) return { kind: "modern" };
    const fault = invalidAnswer(server, `initialize-error-${code}`);
    return { kind: "fault", fault, status: answer.status };
  }
  const { version, ...facts } = readInitialize(answer.body);
  if (version === undefined || !isLegacyRevision(version)) {
    return { kind: "fault", fault: invalidAnswer(server, "revision-unknown"), status: undefined };
  }
  await wire.notify(
    renderNotification("notifications/initialized", undefined),
    legacyHeaders(version),
  );
  return { kind: "open", facts: { era: "legacy", revision: version, ...facts } };
}
