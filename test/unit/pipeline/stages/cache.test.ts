/** What servers say about freshness, and changes on them, against what is answered from memory. */
import { describe, expect, test } from "bun:test";
import { createReplyCache } from "../../../../src/cache/reply-cache.ts";
import { readObject } from "../../../../src/protocol/json-view.ts";
import type { ServerChange } from "../../../../src/servers/client.ts";
import { createMetrics } from "../../../../src/telemetry/metrics.ts";
import {
  clientOf,
  createDataPlane,
  type DataPlane,
  type FakeServer,
  outcomeText,
} from "../../../support/data-plane.ts";

const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
const state = [...clientOf("ci", everything), ...clientOf("cd", everything)];
const notes: FakeServer = { name: "notes", tools: ["read"], resources: ["note://a"] };

function planeOf(more: Partial<FakeServer>): DataPlane {
  return createDataPlane([{ ...notes, ...more }], state);
}

async function hintsOf(plane: DataPlane, method: string, params?: object, scope = "notes") {
  const { ttlMs, cacheScope } = JSON.parse(
    outcomeText(await plane.ask("ci", method, params, scope)),
  );
  return { ttlMs, cacheScope };
}

describe("lists", () => {
  test("a server's shorter time holds, and on a hit what is left of it is told", async () => {
    let passedMs = 0;
    const cache = createReplyCache({
      ...{ bytesMax: 1_000_000, entriesMax: 1_000, metrics: createMetrics() },
      clock: { nowMs: () => passedMs, monotonicMs: () => passedMs },
    });
    const server = { ...notes, listTtlMs: 60_000, hints: { ttlMs: 200, cacheScope: "public" } };
    const plane = createDataPlane([server], state, undefined, { cache });
    expect(await hintsOf(plane, "tools/list")).toEqual({ ttlMs: 200, cacheScope: "private" });
    passedMs = 50;
    expect((await hintsOf(plane, "tools/list")).ttlMs).toBe(150);
    expect(plane.seen.length).toBe(1);
    passedMs = 200;
    await plane.ask("ci", "tools/list", undefined, "notes");
    expect(plane.seen.length).toBe(2);
  });

  test("a server's longer time is cut to what is kept", async () => {
    const plane = planeOf({ listTtlMs: 1_000, hints: { ttlMs: 60_000 } });
    expect((await hintsOf(plane, "tools/list")).ttlMs).toBe(1_000);
    expect((await hintsOf(plane, "tools/list", undefined, "all")).ttlMs).toBe(1_000);
  });

  test("a server that says nothing leaves it to the operator, and nothing is promised", async () => {
    const plane = planeOf({ listTtlMs: 60_000, hints: { ttlMs: 0 } });
    expect((await hintsOf(plane, "tools/list")).ttlMs).toBe(0);
    expect((await hintsOf(plane, "tools/list")).ttlMs).toBe(0);
    expect(plane.seen.length).toBe(1);
  });

  test.each([
    ["public", 1],
    ["private", 2],
  ])(
    "CA-01 CA-05: shared lists that their server calls %s are fetched %d times",
    async (cacheScope, times) => {
      const plane = planeOf({ listTtlMs: 60_000, listsPublic: true, hints: { cacheScope } });
      for (const who of ["ci", "cd", "ci", "cd"])
        await plane.ask(who, "tools/list", undefined, "notes");
      expect(plane.seen.length).toBe(times);
    },
  );
});

describe("resources", () => {
  const read = (plane: DataPlane, who = "ci", more: object = {}) =>
    plane.ask(who, "resources/read", { uri: "note://a", ...more }, "notes");

  test("are kept only where their server says how long, for one credential", async () => {
    const silent = planeOf({ hints: { ttlMs: 0 } });
    await read(silent);
    await read(silent);
    expect(silent.seen.length).toBe(2);
    const lasting = planeOf({ hints: { ttlMs: 60_000, cacheScope: "public" } });
    for (const who of ["ci", "ci", "cd", "cd"]) await read(lasting, who);
    expect(lasting.seen.length).toBe(2);
  });

  test("CA-06: a retry with answers is neither kept nor answered from memory", async () => {
    const plane = planeOf({ hints: { ttlMs: 60_000 } });
    await read(plane);
    await read(plane, "ci", { inputResponses: {} });
    expect(plane.seen.length).toBe(2);
  });
});

describe("a change on a server", () => {
  const params = readObject('{"uri":"note://a"}');
  const ask = async (plane: DataPlane) => {
    for (const scope of ["notes", "all"]) {
      await plane.ask("ci", "tools/list", undefined, scope);
      await plane.ask("ci", "resources/list", undefined, scope);
      await plane.ask("ci", "resources/read", { uri: "note://a" }, scope);
    }
  };

  test.each([
    [{ kind: "tools" }, "tools/list", 2],
    [{ kind: "resources" }, "resources/list", 2],
    [{ kind: "resource", uri: "note://a", params }, "resources/read note://a", 2],
    [{ kind: "prompts" }, "", 0],
  ] satisfies [ServerChange, string, number][])(
    "%o is asked for again at once",
    async (change, what, times) => {
      const plane = planeOf({ listTtlMs: 60_000, hints: { ttlMs: 60_000 } });
      await ask(plane);
      plane.seen.length = 0;
      await ask(plane);
      expect(plane.seen).toEqual([]);
      plane.changes.note("other", change);
      plane.changes.note("notes", change);
      await ask(plane);
      expect(plane.seen).toEqual(new Array(times).fill(`notes ${what}`));
    },
  );

  test("what was asked for before it is not found after it", async () => {
    const plane = planeOf({ listTtlMs: 60_000 });
    const underWay = plane.ask("ci", "tools/list", undefined, "notes");
    plane.changes.note("notes", { kind: "tools" });
    await underWay;
    for (let at = 0; at < 3; at += 1) await plane.ask("ci", "tools/list", undefined, "notes");
    expect(plane.seen.length).toBe(2);
  });

  test("a resource that moved is found at its new owner at once", async () => {
    const uris = { notes: ["note://a"], other: [] as string[] };
    const plane = createDataPlane(
      [
        { name: "notes", resources: uris.notes },
        { name: "other", resources: uris.other },
      ],
      state,
    );
    const read = () => plane.ask("ci", "resources/read", { uri: "note://a" });
    await read();
    uris.other.push(...uris.notes.splice(0));
    for (const server of ["notes", "other"]) plane.changes.note(server, { kind: "resources" });
    await read();
    expect(plane.seen.filter((one) => one.includes("read"))).toEqual([
      "notes resources/read note://a",
      "other resources/read note://a",
    ]);
  });
});
