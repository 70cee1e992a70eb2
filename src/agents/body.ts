/**
 * What an HTTP request must look like before its body is read, and reading that body under its bound: nothing is
 * buffered past the limit, declared or chunked (TH-04, TH-18, TH-19, TH-20, PR-21).
 */
import { createFault, type Fault } from "../errors/fault.ts";

/** What the caller can read. */
export interface Accepts {
  readonly json: boolean;
  readonly stream: boolean;
}

const usualAccept = "application/json, text/event-stream";
const everything: Accepts = Object.freeze({ json: true, stream: true });

export function readAccept(header: string | null): Accepts {
  if (header === null || header === usualAccept || header === "*/*") return everything;
  const types = header.split(",").map(essence);
  const has = (...names: string[]) => names.some((name) => types.includes(name));
  return {
    json: has("application/json", "application/*", "*/*"),
    stream: has("text/event-stream", "text/*", "*/*"),
  };
}

export const notAcceptable = createFault(
  "not-acceptable",
  "Not acceptable: Accept must allow application/json and text/event-stream",
);

/** Refuses what is not plain JSON; returns undefined where the body may be read. */
export function checkBodyHeaders(headers: Headers): Fault | undefined {
  const type = headers.get("content-type");
  if (type !== "application/json" && (type === null || essence(type) !== "application/json")) {
    return createFault(
      "unsupported-media-type",
      "Unsupported media type: Content-Type must be application/json",
    );
  }
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding.trim().toLowerCase() !== "identity") {
    return createFault(
      "unsupported-media-type",
      "Unsupported media type: Content-Encoding is not accepted",
    );
  }
  return undefined;
}

export type Body =
  | { readonly bytes: Uint8Array | ArrayBuffer; readonly size: number }
  | { readonly fault: Fault; readonly size: number };

export async function readBody(request: Request, bodyBytesMax: number): Promise<Body> {
  const declared = request.headers.get("content-length");
  if (declared !== null) {
    const size = Number(declared);
    // Two equal lengths arrive joined by a comma; a proxy in front may have read the other one.
    if (!/^[0-9]{1,15}$/.test(declared)) {
      const message = "Invalid request: exactly one Content-Length, in digits, is allowed";
      return { fault: createFault("invalid-request", message), size: 0 };
    }
    if (size > bodyBytesMax) return { fault: tooLarge(bodyBytesMax), size };
    try {
      return { bytes: await request.arrayBuffer(), size };
    } catch {
      return { fault: createFault("client-too-slow", "The body did not arrive"), size };
    }
  }
  return readChunks(request, bodyBytesMax);
}

async function readChunks(request: Request, bodyBytesMax: number): Promise<Body> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  try {
    for (;;) {
      const next = await reader?.read();
      if (next === undefined || next.done) break;
      size += next.value.byteLength;
      if (size > bodyBytesMax) {
        await reader?.cancel();
        return { fault: tooLarge(bodyBytesMax), size };
      }
      chunks.push(next.value);
    }
  } catch {
    return { fault: createFault("client-too-slow", "The body did not arrive"), size };
  }
  return { bytes: Buffer.concat(chunks), size };
}

function tooLarge(bodyBytesMax: number): Fault {
  const message = `Payload too large: a message holds at most ${bodyBytesMax} bytes`;
  return createFault("payload-too-large", message, { data: { bytesMax: bodyBytesMax } });
}

/** The media type without its parameters. */
function essence(type: string): string {
  const end = type.indexOf(";");
  return (end === -1 ? type : type.slice(0, end)).trim().toLowerCase();
}
