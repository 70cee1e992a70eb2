/** Tasks of the two eras in each other's words. */
import { expect, test } from "bun:test";
import { objectText, readObject } from "../../../../src/protocol/json-view.ts";
import {
  needsTask,
  relatedTask,
  toDetail,
  withoutRelatedTask,
  withRelatedTask,
  withTasksExtension,
} from "../../../../src/servers/legacy/task-messages.ts";

const extension = '"io.modelcontextprotocol/tasks"';
const related = '"io.modelcontextprotocol/related-task":{"taskId":"7"}';

test.each([
  ["{}", "{}"],
  ['{"tasks":{}}', '{"tasks":{}}'],
  ['{"tasks":{"requests":{"tools":{}}}}', '{"tasks":{"requests":{"tools":{}}}}'],
  [
    '{"tasks":{"requests":{"tools":{"call":{}}}}}',
    `{"tasks":{"requests":{"tools":{"call":{}}}},"extensions":{${extension}:{}}}`,
  ],
  // In these revisions the extension means nothing, whoever claims it.
  [`{"extensions":{${extension}:{},"x/y":{}}}`, '{"extensions":{"x/y":{}}}'],
])("capabilities %s read as %s", (given, expected) => {
  expect(withTasksExtension(readObject(given))).toBe(expected);
});

test.each([
  ['{"name":"a","execution":{"taskSupport":"required"}}', true],
  ['{"name":"a","execution":{"taskSupport":"optional"}}', false],
  ['{"name":"a","execution":{"taskSupport":"forbidden"}}', false],
  ['{"name":"a","about":{"execution":{"taskSupport":"required"}}}', false],
  ['{"name":"execution"}', false],
])("%s runs as a task alone: %p", (tool, expected) => {
  expect(needsTask(tool)).toBe(expected);
});

test.each([
  [
    '{"taskId":"7","status":"working","createdAt":"c","lastUpdatedAt":"l","ttl":60000,"pollInterval":5,"later":1}',
    '{"taskId":"7","status":"working","createdAt":"c","lastUpdatedAt":"l","later":1,"resultType":"task","ttlMs":60000,"pollIntervalMs":5}',
  ],
  [
    `{"taskId":"7","ttl":null,"_meta":{${related}}}`,
    '{"taskId":"7","resultType":"task","ttlMs":null}',
  ],
])("the task %s is told as %s", (task, expected) => {
  expect(objectText(toDetail(readObject(task), "task"))).toBe(expected);
});

test("a task's own members give way to what is known better", () => {
  const told = toDetail(readObject('{"status":"failed","ttl":1}'), "complete", {
    status: '"completed"',
    result: "{}",
  });
  expect(JSON.parse(objectText(told))).toEqual({
    resultType: "complete",
    status: "completed",
    ttlMs: 1,
    result: {},
  });
});

test("the server's word for its task goes, and comes back with the answer; the rest keeps its bytes", () => {
  const params = readObject(`{"a": 1,"_meta":{"x/y": 2,${related}}}`);
  expect(relatedTask(params)).toBe("7");
  expect(relatedTask(readObject('{"_meta":{}}'))).toBeUndefined();
  expect(objectText(withoutRelatedTask(params))).toBe('{"a": 1,"_meta":{"x/y": 2}}');
  expect(objectText(withoutRelatedTask(readObject(`{"_meta":{${related}},"a":1}`)))).toBe(
    '{"a":1}',
  );
  const answer = withRelatedTask(readObject('{"action":"accept"}'), "7");
  expect(objectText(answer)).toBe(`{"action":"accept","_meta":{${related}}}`);
});
