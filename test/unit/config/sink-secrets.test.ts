import { expect, test } from "bun:test";
import { parseHeaders, readSinkHeaders } from "../../../src/config/sink-secrets.ts";

const where = "audit.sinks[0].headers_file";
const read = (text: string) => {
  const sink = { name: "otel", kind: "otlp", headers_file: "/run/headers" } as const;
  return readSinkHeaders(sink, where, () => text);
};

test("each line of a collector's file is a header", () => {
  const text = read("Authorization: Bearer abc\r\nX-Api-Key:k1: k2");
  expect(parseHeaders(text ?? "")).toEqual({ authorization: "Bearer abc", "x-api-key": "k1: k2" });
});

test("a sink without such a file has none", () => {
  const sink = { name: "otel", kind: "otlp" } as const;
  expect(readSinkHeaders(sink, where, () => "unread")).toBeUndefined();
});

for (const line of [
  "secret-token",
  "Authorization: ",
  "Authorization : x",
  "A b: c",
  "X: a\u0007b",
  "X: ü",
  "Content-Type: text/plain",
  "host: elsewhere",
]) {
  test(`CF-04: ${JSON.stringify(line)} is refused by its place, and not shown`, () => {
    let said = "";
    try {
      read(`X-Good: 1\n${line}`);
    } catch (error) {
      said = String(error);
    }
    expect(said).toContain("line 2 of /run/headers");
    expect(said).toContain(where);
    expect(said).not.toContain(line);
  });
}
