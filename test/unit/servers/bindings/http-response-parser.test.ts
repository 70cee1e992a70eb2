/** HTTP answers off a connection: any split of the bytes reads the same, and every doubtful framing is refused. */
import { describe, expect, test } from "bun:test";
import {
  createResponseParser,
  ResponseError,
} from "../../../../src/servers/bindings/http-response-parser.ts";

interface Seen {
  readonly log: readonly string[];
  readonly error: string | undefined;
}

function read(pieces: readonly string[], isEnded = false): Seen {
  const log: string[] = [];
  let body = "";
  const parser = createResponseParser({
    onHead: ({ status, headers }) => log.push(`${status} ${headers.get("content-type") ?? "-"}`),
    onChunk: (chunk) => {
      body += chunk.toString("latin1");
    },
    onEnd: (isReusable) => {
      log.push(body, isReusable ? "kept" : "done");
      body = "";
    },
  });
  try {
    for (const piece of pieces) parser.push(Buffer.from(piece, "latin1"));
    if (isEnded && !parser.finish()) log.push("cut");
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    return { log, error: error.message };
  }
  return { log, error: undefined };
}

const ok = "HTTP/1.1 200 OK\r\n";
const whole = (head: string, body: string) => `${head}\r\n${body}`;

const answers: readonly [string, string, readonly string[]][] = [
  [
    "a length",
    whole(`${ok}Content-Type: a/b\r\nContent-Length: 5\r\n`, "hello"),
    ["200 a/b", "hello", "kept"],
  ],
  [
    "chunks",
    whole(`${ok}Transfer-Encoding: chunked\r\n`, "3\r\nhel\r\n2;x=1\r\nlo\r\n0\r\n\r\n"),
    ["200 -", "hello", "kept"],
  ],
  ["no body", whole("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n", ""), ["202 -", "", "kept"]],
  ["204", whole("HTTP/1.1 204 No Content\r\n", ""), ["204 -", "", "kept"]],
  [
    "100 first",
    `HTTP/1.1 100 Continue\r\n\r\n${whole(`${ok}Content-Length: 2\r\n`, "hi")}`,
    ["200 -", "hi", "kept"],
  ],
  [
    "keep-alive: close",
    whole(`${ok}Connection: close\r\nContent-Length: 2\r\n`, "hi"),
    ["200 -", "hi", "done"],
  ],
  ["HTTP/1.0", whole("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n", "hi"), ["200 -", "hi", "done"]],
];

describe("an answer reads the same however it is split", () => {
  test.each(answers)("%s", (_name, text, expected) => {
    expect(read([text]).log).toEqual([...expected]);
    expect(read([...text]).log).toEqual([...expected]);
    for (let at = 1; at < text.length; at += 1) {
      expect(read([text.slice(0, at), text.slice(at)]).log).toEqual([...expected]);
    }
  });
});

const chunked = `${ok}Transfer-Encoding: chunked\r\n`;
const filling = 16 * 1024 - `${chunked}A: `.length;
const longest: readonly [string, string, string, number][] = [
  ["head", `${chunked}A: ${"x".repeat(filling)}`, "\r\n\r\n0\r\n\r\n", 4],
  ["chunk line", `${chunked}\r\n0;${"x".repeat(254)}`, "\r\n\r\n", 2],
];

test.each(longest)(
  "the longest %s is taken wherever its end is cut",
  (_name, text, end, length) => {
    for (let at = 0; at <= length; at += 1) {
      const pieces = [text + end.slice(0, at), end.slice(at)];
      expect(read(pieces)).toEqual({ log: ["200 -", "", "kept"], error: undefined });
      expect(read([`${text}x${end.slice(0, at)}`, end.slice(at)]).error).toBeDefined();
    }
  },
);

const refused: readonly [string, string, string][] = [
  ["no status line", "hello\r\n\r\n", "status-line"],
  ["another version", "HTTP/2.0 200 OK\r\n\r\n", "status-line"],
  ["switching protocols", "HTTP/1.1 101 Switching\r\n\r\n", "interim-answer"],
  ["endless interim answers", "HTTP/1.1 102 Processing\r\n\r\n".repeat(9), "interim-answer"],
  ["a head without end", `${ok}a: ${"x".repeat(17_000)}`, "head-too-large"],
  ["a large head", `${ok}a: ${"x".repeat(17_000)}\r\n\r\n`, "head-too-large"],
  ["a folded line", `${ok}a: b\r\n c\r\n\r\n`, "header-line"],
  ["white space before the colon", `${ok}Content-Length : 2\r\n\r\nhi`, "header-line"],
  ["a bare line feed", `${ok}a: b\nContent-Length: 2\r\n\r\nhi`, "header-line"],
  ["a NUL in a value", `${ok}a: \0\r\n\r\n`, "header-line"],
  ["two lengths", `${ok}Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi`, "content-length"],
  ["a signed length", `${ok}Content-Length: +2\r\n\r\nhi`, "content-length"],
  ["an empty length", `${ok}Content-Length:\r\n\r\nhi`, "content-length"],
  [
    "a length and chunks",
    `${ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n`,
    "two-framings",
  ],
  ["another coding", `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`, "transfer-encoding"],
  [
    "chunks in HTTP/1.0",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "transfer-encoding",
  ],
  ["a chunk size in words", `${ok}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`, "chunk-size"],
  ["a chunk size with a sign", `${ok}Transfer-Encoding: chunked\r\n\r\n-1\r\n`, "chunk-size"],
  [
    "an endless chunk line",
    `${ok}Transfer-Encoding: chunked\r\n\r\n${"1".repeat(300)}`,
    "chunk-size",
  ],
  [
    "a chunk longer than said",
    `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n`,
    "chunk-size",
  ],
  ["trailers", `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n`, "trailers"],
];

describe("what could be read in two ways is refused", () => {
  test.each(refused)("%s", (_name, text, reason) => {
    expect(read([text]).error).toBe(reason);
    expect(read([...text]).error).toBe(reason);
  });
});

test("an answer without framing lasts until the connection ends", () => {
  expect(read([whole(ok, "hel"), "lo"], true).log).toEqual(["200 -", "hello", "done"]);
});

test.each([
  ["in the head", "HTTP/1.1 200"],
  ["in the body", whole(`${ok}Content-Length: 5\r\n`, "hel")],
  ["between chunks", whole(`${ok}Transfer-Encoding: chunked\r\n`, "3\r\nhel\r\n")],
])("a connection that ends %s cuts the answer", (_name, text) => {
  expect(read([text], true).log.at(-1)).toBe("cut");
});

test("bytes after the answer are dropped and the connection is not used again", () => {
  const text = whole(`${ok}Content-Length: 2\r\n`, "hi");
  expect(read([text + text]).log).toEqual(["200 -", "hi", "done"]);
});

test("answers follow each other on one connection", () => {
  const text = whole(`${ok}Content-Length: 2\r\n`, "hi");
  expect(read([text, text]).log).toEqual(["200 -", "hi", "kept", "200 -", "hi", "kept"]);
});
