/**
 * Reads HTTP/1.1 answers off one connection, strictly: what two parsers could read differently is refused, so that no
 * answer is ever taken for a part of another one. Pure; `http-client.ts` feeds it. Trailers, folded lines, a second
 * Content-Length, any transfer coding but chunked, and switching protocols are all refused.
 */
export interface ResponseHead {
  readonly status: number;
  /** By lower-case name; a repeated field is joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface ResponseEvents {
  readonly onHead: (head: ResponseHead) => void;
  readonly onChunk: (chunk: Buffer) => void;
  /** The answer is whole; `isReusable` says whether another request may follow on the connection. */
  readonly onEnd: (isReusable: boolean) => void;
}

export interface ResponseParser {
  /** Throws `ResponseError`; the parser and its connection are of no use after that. */
  push(chunk: Buffer): void;
  /** The connection ended: completes an answer that lasts until then, and says whether it did. */
  finish(): boolean;
}

/** Says in one word what was wrong with an answer. */
export class ResponseError extends Error {
  override readonly name = "ResponseError";
}

const headBytesMax = 16 * 1024;
const chunkLineBytesMax = 256;
const interimMax = 8;
const statusLine = /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const fieldName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;
const lengthValue = /^[0-9]{1,15}$/;
const chunkLine = /^([0-9A-Fa-f]{1,8})[\t ]*(?:;[\t\x20-\x7e]*)?$/;
/** Bytes, since a string would be encoded for each search. */
const headEnd = Buffer.from("\r\n\r\n");
const none = Buffer.alloc(0);

type State =
  | "head"
  | "length"
  | "until-close"
  | "chunk-line"
  | "chunk-bytes"
  | "chunk-end"
  | "last";

export function createResponseParser(events: ResponseEvents): ResponseParser {
  let state: State = "head";
  let held: Buffer = none;
  let left = 0;
  let interim = 0;
  let isKept = false;

  function end(isAlone: boolean): void {
    state = "head";
    interim = 0;
    events.onEnd(isKept && isAlone);
  }

  /** Each step takes what it can from the front and returns the rest; undefined = more bytes are needed. */
  function step(bytes: Buffer): Buffer | undefined {
    switch (state) {
      case "head":
        return takeHead(bytes);
      case "length":
      case "chunk-bytes":
        return takeBody(bytes);
      case "until-close":
        events.onChunk(bytes);
        return none;
      case "chunk-line":
        return takeChunkLine(bytes);
      case "chunk-end":
      case "last":
        return takeLineEnd(bytes);
      default:
        return state satisfies never;
    }
  }

  function takeHead(bytes: Buffer): Buffer | undefined {
    const at = bytes.indexOf(headEnd);
    if (leastLength(bytes, at, headEnd.length) > headBytesMax) {
      throw new ResponseError("head-too-large");
    }
    if (at === -1) return undefined;
    const { head, minor } = readHead(bytes.toString("latin1", 0, at));
    const rest = bytes.subarray(at + 4);
    if (head.status < 200) {
      interim += 1;
      if (head.status === 101 || interim > interimMax) throw new ResponseError("interim-answer");
      return rest;
    }
    beginBody(head, minor);
    events.onHead(head);
    if (state === "length" && left === 0) end(rest.length === 0);
    return rest;
  }

  function beginBody({ status, headers }: ResponseHead, minor: string): void {
    const connection = headers.get("connection")?.toLowerCase();
    const length = headers.get("content-length");
    const coding = headers.get("transfer-encoding");
    isKept = minor === "1" && (connection === undefined || connection === "keep-alive");
    if (length !== undefined && coding !== undefined) throw new ResponseError("two-framings");
    if (length !== undefined && !lengthValue.test(length))
      throw new ResponseError("content-length");
    if (coding !== undefined && (minor === "0" || coding.toLowerCase() !== "chunked")) {
      throw new ResponseError("transfer-encoding");
    }
    const isEmpty = status === 204 || status === 304;
    left = isEmpty ? 0 : Number(length ?? 0);
    if (isEmpty || length !== undefined) state = "length";
    else state = coding === undefined ? "until-close" : "chunk-line";
  }

  function takeBody(bytes: Buffer): Buffer {
    const isTakenWhole = bytes.length <= left;
    const taken = isTakenWhole ? bytes : bytes.subarray(0, left);
    const rest = isTakenWhole ? none : bytes.subarray(left);
    left -= taken.length;
    events.onChunk(taken);
    if (left > 0) return rest;
    if (state === "length") end(rest.length === 0);
    else state = "chunk-end";
    return rest;
  }

  function takeChunkLine(bytes: Buffer): Buffer | undefined {
    const at = bytes.indexOf("\r\n");
    if (leastLength(bytes, at, 2) > chunkLineBytesMax) throw new ResponseError("chunk-size");
    if (at === -1) return undefined;
    const size = chunkLine.exec(bytes.toString("latin1", 0, at))?.[1];
    if (size === undefined) throw new ResponseError("chunk-size");
    left = Number.parseInt(size, 16);
    state = left === 0 ? "last" : "chunk-bytes";
    return bytes.subarray(at + 2);
  }

  function takeLineEnd(bytes: Buffer): Buffer | undefined {
    if (bytes[0] !== 0x0d || (bytes.length > 1 && bytes[1] !== 0x0a)) {
      throw new ResponseError(state === "last" ? "trailers" : "chunk-size");
    }
    if (bytes.length < 2) return undefined;
    if (state === "last") end(bytes.length === 2);
    else state = "chunk-line";
    return bytes.subarray(2);
  }

  return {
    push(chunk) {
      let bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      held = none;
      while (bytes.length > 0) {
        const rest = step(bytes);
        if (rest === undefined) {
          held = bytes;
          return;
        }
        bytes = rest;
        // What follows a whole answer was never asked for: its connection is not used again.
        if (state === "head" && interim === 0) return;
      }
    },
    finish() {
      if (state !== "until-close") return false;
      end(false);
      return true;
    },
  };
}

/** How long what ends at `at` is at least: where its end was not found, all of that but one byte may have come. */
function leastLength(bytes: Buffer, at: number, endLength: number): number {
  return at === -1 ? bytes.length - endLength + 1 : at;
}

/** Takes lines where they lie: a list of them first costs a fifth more. */
function readHead(text: string): { readonly head: ResponseHead; readonly minor: string } {
  let end = lineEnd(text, 0);
  const status = statusLine.exec(text.slice(0, end));
  if (status === null) throw new ResponseError("status-line");
  const headers = new Map<string, string>();
  while (end < text.length) {
    const start = end + 2;
    end = lineEnd(text, start);
    const colon = text.indexOf(":", start);
    if (colon === -1 || colon > end) throw new ResponseError("header-line");
    const name = text.slice(start, colon).toLowerCase();
    const value = text.slice(colon + 1, end).trim();
    if (!fieldName.test(name) || !fieldValue.test(value)) throw new ResponseError("header-line");
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { head: { status: Number(status[2]), headers }, minor: status[1] ?? "" };
}

function lineEnd(text: string, from: number): number {
  const at = text.indexOf("\r\n", from);
  return at === -1 ? text.length : at;
}
