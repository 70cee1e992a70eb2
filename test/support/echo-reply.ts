/**
 * What an agent was told about one call, read from the bytes of the answer; and the arguments of that call, byte for
 * byte, because the audit knows a call's arguments by their digest alone.
 */
import { createHash } from "node:crypto";

export interface Reply {
  /** The text that came back, where the call succeeded. */
  readonly text: string | undefined;
  /** The error's code, where it did not. */
  readonly code: number | undefined;
  readonly raw: string;
}

export function callArguments(text: string): { readonly text: string } {
  return { text };
}

/** What the audit's details say of a call with this text. */
export function argumentsDigestOf(text: string): string {
  return createHash("sha256")
    .update(JSON.stringify(callArguments(text)))
    .digest("hex");
}

/** Reads a JSON-RPC answer that stands alone or in an event stream. */
export function readReply(raw: string): Reply {
  const json = raw.startsWith("{") ? raw : lastEventOf(raw);
  const answer = json === "" ? {} : JSON.parse(json);
  return { text: answer.result?.content?.[0]?.text, code: answer.error?.code, raw };
}

function lastEventOf(stream: string): string {
  const lines = stream.split("\n").filter((line) => line.startsWith("data: {"));
  return lines.at(-1)?.slice("data: ".length) ?? "";
}
