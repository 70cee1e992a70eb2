/** A server's error keeps its bytes, but for what was decided otherwise. */
import { expect, test } from "bun:test";
import { readObject } from "../../../src/protocol/json-view.ts";
import type { ServerErrorBody } from "../../../src/protocol/messages.ts";
import { serverErrorText } from "../../../src/protocol/server-error.ts";

const text = '{ "vendor" : 1e400, "message":"caf\\u00e9", "code" : -32002 , "data":{"a":1.0}}';
const error: ServerErrorBody = {
  code: -32002,
  message: "caf\u00e9",
  dataText: '{"a":1.0}',
  source: readObject(text),
};

test("PR-04: as it was written, where nothing was changed", () => {
  expect(serverErrorText(error)).toBe(text);
});

test("PR-04: another code, message or data replaces that member alone", () => {
  expect(serverErrorText({ ...error, code: -32602 })).toBe(text.replace("-32002", "-32602"));
  expect(serverErrorText({ ...error, message: 'a "b"' })).toBe(
    text.replace('"caf\\u00e9"', () => '"a \\"b\\""'),
  );
  expect(serverErrorText({ ...error, dataText: "[ ]" })).toBe(text.replace('{"a":1.0}', "[ ]"));
  expect(serverErrorText({ ...error, dataText: undefined })).toBe(
    text.replace(' , "data":{"a":1.0}', ""),
  );
});

test("an error of our own has no bytes to keep", () => {
  expect(serverErrorText({ code: 1, message: "ours", dataText: undefined })).toBeUndefined();
});
