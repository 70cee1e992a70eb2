/**
 * One request to an identity provider: no redirects, 200 only, a time, a size, and the injected egress check's word
 * before anything is dialled (AN-12). Keys, metadata and introspection all go through here.
 */
import { GatewayError } from "../errors/fault.ts";

export interface FetchLimits {
  readonly timeoutMs?: number;
  readonly bytesMax?: number;
}

/**
 * The one way out (`servers/egress-fetch.ts`): connects to the very address that its egress check judged, follows
 * nothing, and rejects GatewayError invalid-params for a URL that may not be dialled.
 */
export type Dial = (
  url: string,
  request: {
    readonly method: "GET" | "POST";
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly timeoutMs: number;
    readonly bytesMax: number;
  },
  /** The issuer's own setting. */
  allowPrivateNetwork: boolean,
) => Promise<{ readonly status: number; readonly text: string }>;

export interface TextRequest extends FetchLimits {
  readonly url: string;
  readonly accept: string;
  readonly allowPrivateNetwork?: boolean;
  /** A form to POST; without it the request is a GET. */
  readonly form?: Readonly<Record<string, string>>;
  readonly authorization?: string | undefined;
}

/** The body of a 200; throws an Error that says why there is none and holds nothing the other side sent. */
export async function fetchText(request: TextRequest, dial: Dial): Promise<string> {
  const { url, form, authorization, timeoutMs = 5_000, bytesMax = 256 * 1024 } = request;
  const asked = {
    method: form === undefined ? ("GET" as const) : ("POST" as const),
    headers: {
      accept: request.accept,
      ...(authorization !== undefined && { authorization }),
      ...(form !== undefined && { "content-type": "application/x-www-form-urlencoded" }),
    },
    body: form === undefined ? "" : new URLSearchParams(form).toString(),
    timeoutMs,
    bytesMax,
  };
  const { status, text } = await dial(url, asked, request.allowPrivateNetwork ?? false).catch(
    (error: unknown) => {
      const isRefused = error instanceof GatewayError && error.fault.name === "invalid-params";
      throw isRefused ? new Error("the egress rules do not allow this address") : error;
    },
  );
  if (status !== 200) throw new Error(`answered with status ${status}`);
  return text;
}
