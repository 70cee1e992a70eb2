/** The error -32042 as questions. */
import { expect, test } from "bun:test";
import { noFeatures } from "../../../../src/protocol/client-features.ts";
import { objectText } from "../../../../src/protocol/json-view.ts";
import {
  isUrlRefused,
  isUrlRetry,
  toUrlQuestions,
} from "../../../../src/servers/legacy/url-required.ts";
import { requestOf } from "../support.ts";

const able = { ...noFeatures, elicitationUrl: true };
const errorWith = (dataText: string | undefined) => ({ code: -32042, message: "m", dataText });

test("each URL is a question; what names none is none", () => {
  const elicitation =
    '{"mode":"url","elicitationId":"e","url":"https://a.example/","message":"\\u0041","x":1.0}';
  const outcome = toUrlQuestions(errorWith(`{"elicitations":[${elicitation},{"url":1},7]}`), able);
  if (outcome?.kind !== "result") throw new Error("no question");
  const text = objectText(outcome.result);
  expect(text).toContain('{"mode":"url","url":"https://a.example/","message":"\\u0041","x":1.0}');
  const { requestState, ...rest } = JSON.parse(text);
  expect(Object.keys(rest.inputRequests)).toEqual(["url1"]);
  expect(isUrlRetry(requestState)).toBe(true);
  for (const dataText of [undefined, "[]", "{}", '{"elicitations":{}}', '{"elicitations":[]}']) {
    expect(toUrlQuestions(errorWith(dataText), able)).toBeUndefined();
  }
});

test.each([
  ["{}", false],
  ['{"inputResponses":{"url1":{"action":"accept"},"url2":{"action":"decline"}}}', false],
  ['{"inputResponses":{"url1":{"action":"decline"}}}', true],
  ['{"inputResponses":{"url1":{"action":"cancel"},"url2":{}}}', true],
])("%s is a refusal: %p", (params, isRefused) => {
  expect(isUrlRefused(requestOf("tools/call", params))).toBe(isRefused);
});
