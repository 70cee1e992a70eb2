/**
 * One request to an identity provider: no redirects, 200 only, a time, a size, and the injected egress check's word
 * before anything is dialled (AN-12). Keys, metadata and introspection all go through here.
 */

export interface FetchLimits {
  readonly timeoutMs?: number;
  readonly bytesMax?: number;
}

/** The egress check: may the gateway dial this URL? `allowPrivateNetwork` is the issuer's own setting. */
export type AllowUrl = (url: string, allowPrivateNetwork: boolean) => boolean | Promise<boolean>;

export interface TextRequest extends FetchLimits {
  readonly url: string;
  readonly accept: string;
  readonly allowPrivateNetwork?: boolean;
  /** A form to POST; without it the request is a GET. */
  readonly form?: Readonly<Record<string, string>>;
  readonly authorization?: string | undefined;
}

/** The body of a 200; throws an Error that says why there is none and holds nothing the other side sent. */
export async function fetchText(request: TextRequest, allowUrl: AllowUrl): Promise<string> {
  const { url, form, timeoutMs = 5_000, bytesMax = 256 * 1024 } = request;
  if (!(await allowUrl(url, request.allowPrivateNetwork ?? false))) {
    throw new Error("the egress rules do not allow this address");
  }
  const response = await fetch(url, {
    redirect: "manual",
    method: form === undefined ? "GET" : "POST",
    headers: {
      accept: request.accept,
      "accept-encoding": "identity",
      ...(request.authorization === undefined ? {} : { authorization: request.authorization }),
    },
    ...(form === undefined ? {} : { body: new URLSearchParams(form) }),
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw new Error(`answered with status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.byteLength;
    if (size > bytesMax) throw new Error(`answered with more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
