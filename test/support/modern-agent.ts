/**
 * A bare agent of revision 2026-07-28 over HTTP: one POST a call, headers and envelope made by hand, so that tests
 * see exactly what goes over the wire.
 */
export interface ModernCall {
  readonly base: string;
  readonly scope?: string;
  readonly token?: string;
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly id?: string | number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export const modernMeta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "bare-agent", version: "1" },
} as const;

export function modernPost(call: ModernCall): Promise<Response> {
  const params = { ...call.params, _meta: { ...modernMeta, ...(call.params?._meta ?? {}) } };
  const name = call.params?.name ?? call.params?.uri ?? call.params?.taskId;
  return fetch(`${call.base}/${call.scope ?? "all"}/mcp`, {
    method: "POST",
    signal: call.signal,
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": call.method,
      ...(typeof name === "string" ? { "Mcp-Name": name } : {}),
      ...(call.token === undefined ? {} : { Authorization: `Bearer ${call.token}` }),
      ...call.headers,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: call.id ?? 1, method: call.method, params }),
  });
}

export interface RpcAnswer {
  readonly status: number;
  readonly result?: { readonly [key: string]: unknown };
  readonly error?: {
    readonly code: number;
    readonly message: string;
    readonly data?: { readonly [key: string]: unknown };
  };
  readonly headers: Headers;
  readonly text: string;
}

/** The parsed answer of a call: one JSON object, or the last event of the stream that a slow call becomes. */
export async function modernCall(call: ModernCall): Promise<RpcAnswer> {
  const response = await modernPost(call);
  const text = await response.text();
  const event = [...text.matchAll(/^data: ?(.+)$/gm)].at(-1)?.[1] ?? "{}";
  const body = JSON.parse(text.startsWith("{") ? text : event);
  return {
    status: response.status,
    result: body.result,
    error: body.error,
    headers: response.headers,
    text,
  };
}
