/** What reaches the terminal: cleaned cells, aligned columns, colours only where wanted. */
import { expect, test } from "bun:test";
import { clean, createOutput } from "../../../src/cli/output.ts";
import { renderMessage } from "../../../src/cli/render-message.ts";

function capture(color = false) {
  const lines: string[] = [];
  const notes: string[] = [];
  const output = createOutput({
    write: (text) => lines.push(text),
    writeNote: (text) => notes.push(text),
    color,
  });
  return { output, lines, notes };
}

test("text from elsewhere cannot move the cursor", () => {
  expect(clean("a\u001b[2Jb\rc\u0007\u202ed\te")).toBe("a\ufffd[2Jb\ufffdc\ufffd\ufffdd e");
});

test("columns are as wide as their widest cell", () => {
  const { output, lines } = capture();
  output.table(
    ["a", "b"],
    [
      ["1", "x"],
      ["22\n", "日本"],
    ],
  );
  expect(lines).toEqual(["a    b\n", "1    x\n", "22\ufffd  日本\n"]);
});

test("colours only on terminals", () => {
  expect(capture().output.paint("red", "x")).toBe("x");
  expect(capture(true).output.paint("red", "x")).toBe("\u001b[31mx\u001b[39m");
});

test("a list is a table, times are readable, the next page is noted", () => {
  const { output, lines, notes } = capture();
  const tokens = [
    { id: "t1", created_at_ms: 0 },
    { id: "t2", created_at_ms: 1000 },
  ];
  renderMessage({ tokens, next_page_token: "p2" }, output);
  expect(lines.join("")).toContain("t2  1970-01-01T00:00:01.000Z");
  expect(notes).toEqual(["more: --page-token p2\n"]);
});

test("an object is lines, an empty one is done, an empty list is none", () => {
  const { output, lines, notes } = capture();
  renderMessage(
    { client: { id: "ci", roles: ["a", "b"], note: "", limits: {}, none: [] } },
    output,
  );
  renderMessage({}, output);
  renderMessage({ clients: [] }, output);
  expect(lines.join("")).toBe("client:\n  id: ci\n  roles: a, b\ndone\n");
  expect(notes).toEqual(["none\n"]);
});
