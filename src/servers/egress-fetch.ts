/**
 * One request to a place that is no MCP server: keys, metadata and tokens of authorization servers (UP-09). The same
 * connections and the same egress check as for servers; nothing is followed, decompressed or sent through a proxy, and
 * both the time and the bytes of an answer are bounded.
 */
import { createHttpClient, headerLines } from "./bindings/http-client.ts";

export interface EgressRequest {
  readonly method?: "GET" | "POST";
  /** By lower-case name; Host and Content-Length are written here. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs?: number;
  readonly bytesMax?: number;
}

export interface EgressAnswer {
  readonly status: number;
  /** By lower-case name; a repeated field is joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
}

/** Rejects GatewayError invalid-params for a URL that may not be dialled, Error with a short reason otherwise. */
export type EgressFetch = (url: string, request?: EgressRequest) => Promise<EgressAnswer>;

const timeoutMsDefault = 5_000;
const bytesMaxDefault = 256 * 1024;

export function createEgressFetch(allowPrivateNetwork: boolean): EgressFetch {
  return async (url, request = {}) => {
    const { timeoutMs = timeoutMsDefault, bytesMax = bytesMaxDefault, body = "" } = request;
    const limits = { allowPrivateNetwork, connectTimeoutMs: timeoutMs, maxInFlight: 1 };
    const client = createHttpClient(limits, url);
    const method = request.method ?? "GET";
    const fields = headerLines({
      ...request.headers,
      "accept-encoding": "identity",
      connection: "close",
      ...(method === "POST" && { "content-length": String(Buffer.byteLength(body)) }),
    });
    if (fields === undefined) throw new Error("header-refused");
    const answer = Promise.withResolvers<EgressAnswer>();
    const late = () => answer.reject(new Error(`timed out after ${timeoutMs} ms`));
    const timer = setTimeout(late, timeoutMs);
    const chunks: Buffer[] = [];
    let size = 0;
    let head: Pick<EgressAnswer, "status" | "headers"> = { status: 0, headers: new Map() };
    client.start(method, fields, body, {
      onHead(received) {
        head = received;
      },
      onChunk(chunk) {
        size += chunk.byteLength;
        if (size > bytesMax) answer.reject(new Error(`more than ${bytesMax} bytes`));
        else chunks.push(Buffer.from(chunk));
      },
      onEnd() {
        answer.resolve({ ...head, text: Buffer.concat(chunks).toString("utf8") });
      },
      onFailure: (code) => answer.reject(new Error(code)),
    });
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      client.close();
    }
  };
}
