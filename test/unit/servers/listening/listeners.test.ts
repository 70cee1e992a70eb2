/** Who is told of which change. */
import { describe, expect, test } from "bun:test";
import { readObject } from "../../../../src/protocol/json-view.ts";
import type { ServerChange } from "../../../../src/servers/client.ts";
import { createListeners } from "../../../../src/servers/listening/listeners.ts";

function update(uri: string): ServerChange {
  return { kind: "resource", uri, params: readObject(JSON.stringify({ uri })) };
}

describe("an updated resource concerns", () => {
  const rows: readonly [string, readonly string[], string, readonly string[]][] = [
    ["whoever named it", ["a:1", "a:2"], "a:1", ["a:1"]],
    ["whoever named what it lies below", ["f:///a", "f:///b"], "f:///a/x", ["f:///a"]],
    ["both at once", ["f:///a", "f:///a/x"], "f:///a/x", ["f:///a", "f:///a/x"]],
    ["not a neighbour of the same beginning", ["f:///1", "f:///10"], "f:///10", ["f:///10"]],
    ["a folder", ["f:///a/"], "f:///a/x", ["f:///a/"]],
    ["a query and a fragment", ["f:///a", "f:///a?q"], "f:///a?q#z", ["f:///a", "f:///a?q"]],
    ["who named a part in the server's own way, where nobody else fits", ["a:b"], "a:b:c", ["a:b"]],
    ["nobody above what was named", ["f:///a/x"], "f:///a", []],
    ["nobody elsewhere", ["f:///a"], "g:///a", []],
  ];
  test.each(rows)("%s", (_, subscribed, uri, expected) => {
    const listeners = createListeners();
    const told: string[] = [];
    for (const one of subscribed) {
      const topic = `resource:${one}`;
      const listener = listeners.add(
        [topic],
        () => told.push(one),
        () => {},
      );
      listener.settle(new Set([topic]));
    }
    for (const listener of listeners.concerned(update(uri))) listener.tell(update(uri));
    expect(told.sort()).toEqual([...expected].sort());
  });
});

test("a listener is told only what was honoured, once that is settled, and nothing after it left", () => {
  const listeners = createListeners();
  const settled: string[][] = [];
  const listener = listeners.add(
    ["tools", "prompts"],
    () => {},
    (honoured) => settled.push([...honoured]),
  );
  const isTold = (kind: "tools" | "prompts") => [...listeners.concerned({ kind })].length === 1;
  expect([...listeners.waiting()]).toEqual([listener]);
  expect(isTold("tools")).toBe(false);
  listener.settle(new Set(["tools", "resources"]));
  listener.settle(new Set(["prompts"]));
  expect(settled).toEqual([["tools"]]);
  expect([...listeners.waiting()]).toEqual([]);
  expect([isTold("tools"), isTold("prompts")]).toEqual([true, false]);
  expect(listeners.remove(listener)).toBe(true);
  expect(listeners.remove(listener)).toBe(false);
  expect(isTold("tools")).toBe(false);
  expect(listeners.isEmpty()).toBe(true);
});

test("what is wanted together shrinks with the last who wants it", () => {
  const listeners = createListeners();
  const add = (...topics: string[]) =>
    listeners.add(
      topics,
      () => {},
      () => {},
    );
  const first = add("tools", "resource:a");
  const second = add("resource:a", "resource:a");
  expect([...listeners.topics()]).toEqual(["tools", "resource:a"]);
  listeners.remove(first);
  expect([...listeners.topics()]).toEqual(["resource:a"]);
  expect(listeners.topicsAbove("a")).toEqual(["resource:a"]);
  listeners.remove(second);
  expect(listeners.topics().size).toBe(0);
  expect(listeners.topicsAbove("a")).toEqual([]);
});
