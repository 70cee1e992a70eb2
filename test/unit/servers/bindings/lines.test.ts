/** Lines out of chunks, however they are cut (TS-03 for stdio). */
import { expect, test } from "bun:test";
import { createLineSplitter } from "../../../../src/servers/bindings/lines.ts";

function split(chunks: readonly (string | Uint8Array)[], lineBytesMax = 100) {
  const lines: (string | undefined)[] = [];
  let overflows = 0;
  const splitter = createLineSplitter({
    lineBytesMax,
    onLine: (line) => lines.push(line),
    onOverflow: () => {
      overflows += 1;
    },
  });
  for (const chunk of chunks) splitter.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  return { lines, overflows };
}

test.each([
  [["a\nb\n"], ["a", "b"]],
  [
    ["a", "b", "\n", "c\r\n"],
    ["ab", "c"],
  ],
  [["\n\nx"], ["", ""]],
  [[Buffer.from("é\n").subarray(0, 1), Buffer.from("é\n").subarray(1)], ["é"]],
  [[new Uint8Array([0xff, 0x0a])], [undefined]],
])("%j", (chunks, lines) => {
  expect(split(chunks)).toEqual({ lines, overflows: 0 });
});

test("a line over the limit is reported once, and nothing after it is read", () => {
  expect(split(["1234", "567", "8\nok\n"], 5)).toEqual({ lines: [], overflows: 1 });
  expect(split(["ok\n12345\n123456\n"], 5)).toEqual({ lines: ["ok", "12345"], overflows: 1 });
});
