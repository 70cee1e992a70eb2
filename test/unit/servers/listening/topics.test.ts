/** Filters as topics and back, and notifications as changes. */
import { describe, expect, test } from "bun:test";
import { objectText, readObject } from "../../../../src/protocol/json-view.ts";
import { emptyFilter } from "../../../../src/protocol/listen-filter.ts";
import {
  filterOf,
  hasAll,
  missedChange,
  readChange,
  topicOf,
  topicsOf,
} from "../../../../src/servers/listening/topics.ts";

const full = {
  toolsListChanged: true,
  promptsListChanged: true,
  resourcesListChanged: true,
  resourceSubscriptions: ["a:b", "task:x", ""],
  taskIds: ["resource:y", "t"],
};

describe("filters", () => {
  test("become topics and filters again", () => {
    expect(filterOf(topicsOf(full))).toEqual(full);
    expect(filterOf(topicsOf(emptyFilter))).toEqual(emptyFilter);
    expect(topicsOf({ ...emptyFilter, promptsListChanged: true })).toEqual(["prompts"]);
  });

  test("hold others", () => {
    const topics = new Set(topicsOf(full));
    expect(hasAll(topics, ["tools", "resource:a:b"])).toBe(true);
    expect(hasAll(topics, ["tools", "resource:a"])).toBe(false);
  });
});

describe("notifications", () => {
  const updated = "notifications/resources/updated";
  const rows: readonly [string, string | undefined, string | undefined][] = [
    ["notifications/tools/list_changed", undefined, "tools"],
    ["notifications/prompts/list_changed", "{}", "prompts"],
    ["notifications/resources/list_changed", '{"x":1}', "resources"],
    [updated, '{"uri":"a:b"}', "resource:a:b"],
    [updated, '{"uri":7}', undefined],
    [updated, undefined, undefined],
    ["notifications/tasks", '{"taskId":"t","status":"working"}', "task:t"],
    ["notifications/tasks", "{}", undefined],
    ["notifications/message", '{"level":"info"}', undefined],
    ["notifications/cancelled", '{"requestId":1}', undefined],
  ];
  test.each(rows)("%s %s", (method, paramsText, topic) => {
    const params = paramsText === undefined ? undefined : readObject(paramsText);
    const change = readChange({ kind: "notification", method, params });
    expect(change && topicOf(change)).toBe(topic);
  });

  const metas: readonly [string, string][] = [
    ['{"uri":"a","big":12345678901234567890}', '{"uri":"a","big":12345678901234567890}'],
    ['{"uri":"a","_meta":{"io.modelcontextprotocol/subscriptionId":3}}', '{"uri":"a"}'],
    [
      '{"_meta":{"k":1.0,"io.modelcontextprotocol/subscriptionId":"3"},"uri":"a"}',
      '{"_meta":{"k":1.0},"uri":"a"}',
    ],
  ];
  test.each(metas)("our own subscription id is taken out of %s", (before, after) => {
    const params = readObject(before);
    const change = readChange({ kind: "notification", method: updated, params });
    expect(change?.kind === "resource" && objectText(change.params)).toBe(after);
  });
});

test("a change is made up for every topic but a task", () => {
  expect(missedChange("tools")).toEqual({ kind: "tools" });
  const made = missedChange("resource:a:b");
  expect(made?.kind === "resource" && objectText(made.params)).toBe('{"uri":"a:b"}');
  expect(missedChange("task:t")).toBeUndefined();
});
