/** What is gathered in one window, and that nothing is told after the end. */
import { expect, test } from "bun:test";
import { readObject } from "../../../../src/protocol/json-view.ts";
import type { ServerChange } from "../../../../src/servers/client.ts";
import { createCoalescer } from "../../../../src/servers/listening/coalesce.ts";

function create() {
  const told: ServerChange[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const coalescer = createCoalescer({
    windowMs: 1,
    topicsMax: 2,
    deliver(change) {
      told.push(change);
      resolve();
    },
  });
  return { coalescer, told, delivered: promise };
}

function update(uri: string, version: number): ServerChange {
  return { kind: "resource", uri, params: readObject(`{"uri":"${uri}","version":${version}}`) };
}

test("each thing is told once, the latest of it, in the order of its first change", async () => {
  const { coalescer, told, delivered } = create();
  for (let version = 1; version <= 1_000; version += 1) {
    coalescer.add(update("a", version));
    coalescer.add({ kind: "tools" });
  }
  expect(told).toEqual([]);
  await delivered;
  expect(told).toEqual([update("a", 1_000), { kind: "tools" }]);
});

test("there is room for so many different things, and always for those that wait", async () => {
  const { coalescer, delivered } = create();
  coalescer.add({ kind: "tools" });
  expect(coalescer.hasRoom("prompts")).toBe(true);
  coalescer.add({ kind: "prompts" });
  expect(coalescer.hasRoom("resources")).toBe(false);
  expect(coalescer.hasRoom("tools")).toBe(true);
  await delivered;
  expect(coalescer.hasRoom("resources")).toBe(true);
});

test("what waits at the end is never told", async () => {
  const { coalescer, told } = create();
  coalescer.add({ kind: "tools" });
  coalescer.close();
  coalescer.add({ kind: "prompts" });
  await Bun.sleep(10);
  expect(told).toEqual([]);
});
