/** What a legacy session is asked for those who listen, against a wire the test plays by hand. */
import { describe, expect, test } from "bun:test";
import { readObject } from "../../../../src/protocol/json-view.ts";
import { connectionLost, failed, timedOut } from "../../../../src/servers/faults.ts";
import { followLegacy } from "../../../../src/servers/legacy/subscribe.ts";
import type { ServerSpec } from "../../../../src/servers/spec.ts";
import type { WireAnswer } from "../../../../src/servers/wire.ts";

const done: WireAnswer = { kind: "result", body: readObject("{}") };
const refused: WireAnswer = {
  kind: "error",
  body: readObject('{"code":-32602,"message":"no"}'),
  status: 200,
};
const spec: ServerSpec = {
  name: "s",
  description: "",
  transport: { kind: "http-sse", url: "http://127.0.0.1/", headers: {} },
  era: "legacy",
  enabled: true,
  connectTimeoutMs: 1_000,
  callTimeoutMs: 1_000,
  responseBytesMax: 1_000,
  maxInFlight: 1,
  listTtlMs: 0,
  listsPublic: false,
  toolSettings: [],
  dataClass: "INTERNAL",
  allowPrivateNetwork: true,
};

/** `answer` is asked for each `<method> <uri>`. */
function follow(
  answer: (asked: string) => WireAnswer | Promise<WireAnswer>,
  capabilitiesText = '{"tools":{},"resources":{"subscribe":true}}',
) {
  const asked: string[] = [];
  const drops: boolean[] = [];
  let gaps = 0;
  let breakStream: (() => void) | undefined;
  let lastId = 0;
  const link = {
    wire: {
      nextId: () => ++lastId,
      async request({ text }: { text: string }) {
        const { method, params } = JSON.parse(text);
        const line = `${method.split("/").at(-1)} ${params?.uri ?? ""}`.trim();
        asked.push(line);
        return answer(line);
      },
      notify: async () => {},
      respond: async () => {},
      openStream: (_: unknown, onGap: () => void) => {
        breakStream = onGap;
      },
      retire() {},
      isOpen: () => true,
      close: async () => {},
    },
    facts: {
      era: "legacy",
      revision: "2025-11-25",
      capabilitiesText,
      instructions: undefined,
      serverInfoText: undefined,
    },
  } as const;
  const follower = followLegacy({
    spec,
    link,
    ownInfoText: "{}",
    connection: {
      current: () => (drops.length === 0 ? link : undefined),
      drop: (_, { forgetEra }) => drops.push(forgetEra),
    },
    onNotification: () => {},
    onEnd: () => {},
    onGap: () => {
      gaps += 1;
    },
  });
  return { follower, asked, drops, gaps: () => gaps, breakStream: () => breakStream?.() };
}

const topics = (...uris: string[]) => new Set(uris.map((uri) => `resource:${uri}`));

describe("subscriptions", () => {
  test("are asked for once, and taken back when nobody wants them", async () => {
    const { follower, asked } = follow(() => done);
    expect(await follower.ask(topics("a", "b"))).toEqual(topics("a", "b"));
    expect(follower.suits(topics("a", "b"))).toBe(true);
    expect(follower.suits(topics("a"))).toBe(false);
    expect(follower.suits(topics("a", "b", "c"))).toBe(false);
    await follower.ask(topics("b", "c"));
    await follower.close();
    expect(asked.sort()).toEqual([
      "subscribe a",
      "subscribe b",
      "subscribe c",
      "unsubscribe a",
      "unsubscribe b",
      "unsubscribe c",
    ]);
  });

  test("are not overtaken by their own end", async () => {
    const { promise, resolve } = Promise.withResolvers<WireAnswer>();
    const { follower, asked } = follow((line) => (line === "unsubscribe a" ? promise : done));
    await follower.ask(topics("a"));
    await follower.ask(topics("b"));
    const again = follower.ask(topics("a", "b"));
    await Promise.resolve();
    expect(asked.filter((line) => line === "subscribe a").length).toBe(1);
    resolve(done);
    expect(await again).toEqual(topics("a", "b"));
    expect(asked.filter((line) => line === "subscribe a").length).toBe(2);
  });

  test("that are refused are not honoured, the others are", async () => {
    const { follower } = follow((line) => (line === "subscribe a" ? refused : done));
    expect(await follower.ask(topics("a", "b"))).toEqual(topics("b"));
  });

  test("are not asked of a server that takes none", async () => {
    const { follower, asked } = follow(() => done, '{"tools":{},"resources":{}}');
    const wanted = new Set(["tools", "prompts", "resources", "resource:a", "task:t"]);
    expect(await follower.ask(wanted)).toEqual(new Set(["tools", "resources"]));
    expect(asked).toEqual([]);
  });

  test("are given up after one that is never answered", async () => {
    const { follower, asked } = follow(() => failed(timedOut("s", 1), true));
    const many = topics(...Array.from({ length: 100 }, (_, at) => `u:${at}`));
    expect(await follower.ask(many)).toEqual(new Set());
    expect(asked.length).toBeLessThanOrEqual(8);
    expect(follower.suits(many)).toBe(true);
  });

  const losses: readonly [string, WireAnswer, readonly boolean[]][] = [
    ["the session is gone", failed(timedOut("s", 1), false, 404), [false]],
    ["the connection is gone", failed(connectionLost("s", "closed"), true), []],
  ];
  test.each(losses)("must be asked for again where %s", async (_, answer, drops) => {
    const found = follow(() => answer);
    expect(await found.follower.ask(topics("a"))).toBeUndefined();
    expect(found.follower.suits(topics("a"))).toBe(false);
    expect(found.drops).toEqual([...drops]);
  });
});

describe("a broken stream of the session", () => {
  test("may have lost something", async () => {
    const { asked, drops, gaps, breakStream } = follow(() => done);
    breakStream();
    await Bun.sleep(0);
    expect([asked, drops, gaps()]).toEqual([["ping"], [], 1]);
  });

  test("may mean that the session is over", async () => {
    const { drops, gaps, breakStream } = follow(() => failed(timedOut("s", 1), false, 404));
    breakStream();
    await Bun.sleep(0);
    expect([drops, gaps()]).toEqual([[false], 0]);
  });
});
