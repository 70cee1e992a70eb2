/**
 * The one place that answers requests a server sends to us. `ping` is answered; sampling, elicitation and roots are
 * refused with -32601, because nothing here can carry a question to the agent yet. The issue that bridges them
 * between the eras replaces the refusal below and nothing else.
 */
import type { McpRequest } from "../protocol/messages.ts";

/** The whole answer to one request of the server. */
export function answerServerRequest(request: McpRequest): string {
  if (request.method === "ping") return `{"jsonrpc":"2.0","id":${request.idText},"result":{}}`;
  const error = `{"code":-32601,"message":"The gateway does not pass this request on"}`;
  return `{"jsonrpc":"2.0","id":${request.idText},"error":${error}}`;
}
