/** Admin answers as people see them: pages of objects as tables, single objects as lines. */
import { expect, test } from "bun:test";
import { createOutput } from "../../../src/cli/output.ts";
import { renderMessage } from "../../../src/cli/render-message.ts";

function render(message: Readonly<Record<string, unknown>>): string {
  let text = "";
  const write = (piece: string) => {
    text += piece;
  };
  renderMessage(message, createOutput({ write, writeNote: write, color: false }));
  return text;
}

test("a page of objects is a table", () => {
  const text = render({
    roles: [{ name: "a" }, { name: "b" }],
    next_page_token: "t",
    state_revision: 1,
  });
  expect(text).toContain("name");
  expect(text).toContain("more: --page-token t");
  expect(render({ roles: [], next_page_token: "", state_revision: 1 })).toContain("none");
});

test("P15: a decision with empty lists beside it is lines, not an empty table", () => {
  const text = render({ allowed: false, reason: "denied by default", roles: [], denied_by: [] });
  expect(text).toContain("allowed: false");
  expect(text).toContain("reason: denied by default");
});

test("a text of several lines is a block, so that nothing in it passes for another field", () => {
  const text = render({ note: "origin\n3\n\nallowed: true\n", size: 3 });
  expect(text).toBe("note:\n  | origin\n  | 3\n  | \n  | allowed: true\nsize: 3\n");
});

test("ST-24: control characters of others never reach the terminal", () => {
  expect(render({ reason: "a\u001b[31mb" })).not.toContain("\u001b[31m");
});
