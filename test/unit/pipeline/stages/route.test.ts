/** What an agent reads about how long, and for whom, a list may be kept: alone, joined, filtered, with one missing. */
import { describe, expect, test } from "bun:test";
import { objectText, readObject } from "../../../../src/protocol/json-view.ts";
import type { McpRequest, Outcome } from "../../../../src/protocol/messages.ts";
import {
  clientOf,
  createDataPlane,
  type FakeServer,
  outcomeText,
} from "../../../support/data-plane.ts";

const clients = [
  ...clientOf("full", { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] }),
  ...clientOf("part", { allowedTools: ["a__one", "b__one"], allowedResources: ["x:1"] }),
];

/** Lists two tools and two resources, with these hints after them. */
function lister(name: string, hints: string, more: Partial<FakeServer> = {}): FakeServer {
  const texts: Readonly<Record<string, string>> = {
    "tools/list": `{ "tools" : [{"name":"one"},{"name":"two"}]${hints}}`,
    "resources/list": `{"resources":[{"uri":"x:1"},{"uri":"x:2"}]${hints}}`,
    "resources/read": `{"contents":[]${hints}}`,
  };
  const answer = ({ method }: McpRequest): Outcome | undefined => {
    const text = texts[method];
    return text === undefined ? undefined : { kind: "result", result: readObject(text) };
  };
  return { name, listTtlMs: 600, listsPublic: true, answer, ...more };
}

const open = ',"ttlMs":500,"cacheScope" : "public"';

async function hintsOf(
  fakes: readonly FakeServer[],
  scope: string,
  { who = "full", method = "tools/list", params = {} } = {},
) {
  const reply = await createDataPlane(fakes, clients).ask(who, method, params, scope);
  const { ttlMs, cacheScope } = JSON.parse(outcomeText(reply));
  return [ttlMs, cacheScope];
}

describe("one server", () => {
  test("PR-04: its list passes untouched where the operator shares it and nothing is filtered", async () => {
    const plane = createDataPlane([lister("a", open)], clients);
    const reply = await plane.ask("full", "tools/list", undefined, "a");
    if (reply.outcome.kind !== "result") throw new Error("no result");
    expect(objectText(reply.outcome.result)).toBe(
      `{ "tools" : [{"name":"one"},{"name":"two"}]${open}}`,
    );
  });

  test.each([
    ["nobody said that it may be shared", { listsPublic: false }, {}],
    ["this principal sees less", {}, { who: "part" }],
    ["it is a page", {}, { params: { cursor: "c" } }],
    [
      "what is read is one principal's to read",
      {},
      { method: "resources/read", params: { uri: "x:1" } },
    ],
  ])("CA-01 CA-05: public becomes private: %s", async (_why, more, asked) => {
    expect(await hintsOf([lister("a", open, more)], "a", asked)).toEqual([500, "private"]);
  });

  test("CA-16: a first page is private, since a later one may be filtered", async () => {
    const hints = `${open},"nextCursor":"c"`;
    expect(await hintsOf([lister("a", hints)], "a")).toEqual([500, "private"]);
  });
});

describe("joined lists", () => {
  test.each<[string, string[], number, number]>([
    ["the shortest of the parts", [open, ',"ttlMs":70'], 600, 70],
    [
      "the gateway's own, where the servers say more",
      [',"ttlMs":900000', ',"ttlMs":70000'],
      600,
      600,
    ],
    ["the gateway's own, where nobody says any", ["", ""], 600, 600],
    ["nothing, where one says nonsense", [open, ',"ttlMs":-5'], 600, 0],
    ["never longer than operators wait for what they change", ["", ""], 60_000, 1_000],
  ])("ttlMs is %s", async (_what, [first = "", second = ""], listTtlMs, ttlMs) => {
    const fakes = [lister("a", first, { listTtlMs }), lister("b", second, { listTtlMs })];
    expect(await hintsOf(fakes, "all")).toEqual([ttlMs, "private"]);
  });

  test("public only where all parts are, all are shared, and nothing is hidden", async () => {
    const both = [lister("a", open), lister("b", open)];
    expect(await hintsOf(both, "all")).toEqual([500, "public"]);
    expect(await hintsOf(both, "all", { who: "part" })).toEqual([500, "private"]);
    const resources = { who: "part", method: "resources/list" };
    expect(await hintsOf(both, "all", resources)).toEqual([500, "private"]);
    const unshared = [lister("a", open), lister("b", open, { listsPublic: false })];
    expect(await hintsOf(unshared, "all")).toEqual([500, "private"]);
    expect(await hintsOf([lister("a", open), lister("b", "")], "all")).toEqual([500, "private"]);
  });

  test("PR-24: with a server missing, or asking instead of listing, soon asked again and not kept", async () => {
    const question = readObject('{"resultType":"input_required","requestState":"x"}');
    for (const broken of [
      lister("b", open, { isDown: true }),
      lister("b", open, { answer: () => ({ kind: "result", result: question }) }),
    ]) {
      const plane = createDataPlane([lister("a", open), broken], clients);
      for (let times = 0; times < 2; times += 1) {
        const text = outcomeText(await plane.ask("full", "tools/list"));
        expect(JSON.parse(text)).toMatchObject({ ttlMs: 500, tools: [{ name: "a__one" }, {}] });
      }
      expect(plane.seen.filter((one) => one === "a tools/list")).toHaveLength(2);
    }
  });
});
