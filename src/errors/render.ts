/**
 * Faults and outcomes as JSON-RPC text, HTTP status and WebSocket close code: the catalogue's row, plus what the
 * fault itself says. Pure. The agents' edge calls it for every answer; nobody else writes an error to an agent.
 */
import type { ServerErrorBody } from "../protocol/messages.ts";
import { serverErrorText } from "../protocol/server-error.ts";
import { catalogue } from "./catalogue.ts";
import type { Fault } from "./fault.ts";

/** The tightest limit; whoever hits it is told it as `error.data.limit` on every transport. */
export interface LimitState {
  readonly limit: number;
  readonly remaining: number;
  readonly resetSeconds: number;
  readonly policy: string;
}

export function httpStatusOf(fault: Fault): number {
  return catalogue[fault.name].http;
}

/**
 * The error object of a fault. `data.name` is the catalogue's name, except for `target-hidden`: "hidden" would tell
 * the caller that there is something to hide.
 */
export function faultToErrorBody(fault: Fault, limit?: LimitState): ServerErrorBody {
  const row = catalogue[fault.name];
  const members = {
    ...(fault.name === "target-hidden" ? {} : { name: fault.name }),
    ...(fault.retryAfterMs === undefined ? {} : { retryAfterMs: fault.retryAfterMs }),
    ...(limit === undefined || fault.name !== "rate-limited" ? {} : { limit }),
    ...fault.data,
  };
  const dataText = Object.keys(members).length === 0 ? undefined : JSON.stringify(members);
  return { code: row.code, message: fault.message || row.message, dataText };
}

/** A JSON-RPC error response; without an id where the request's could not be read. */
export function renderErrorBody(idText: string | undefined, error: ServerErrorBody): string {
  const id = idText === undefined ? "" : `"id":${idText},`;
  return `{"jsonrpc":"2.0",${id}"error":${serverErrorText(error) ?? errorText(error)}}`;
}

function errorText({ code, message, dataText }: ServerErrorBody): string {
  const more = dataText === undefined ? "" : `,"data":${dataText}`;
  return `{"code":${code},"message":${JSON.stringify(message)}${more}}`;
}

export function renderJsonRpcError(
  idText: string | undefined,
  fault: Fault,
  limit?: LimitState,
): string {
  return renderErrorBody(idText, faultToErrorBody(fault, limit));
}

/** A JSON-RPC success response around the source text of a result. */
export function renderResult(idText: string, resultText: string): string {
  return `{"jsonrpc":"2.0","id":${idText},"result":${resultText}}`;
}
