/** `subscriptions/listen` through the whole pipeline: what is honoured, what is told, and how a listen ends. */
import { describe, expect, test } from "bun:test";
import { objectText, readObject } from "../../../../src/protocol/json-view.ts";
import { emptyFilter } from "../../../../src/protocol/listen-filter.ts";
import { until } from "../../../support/agents.ts";
import {
  clientOf,
  createDataPlane,
  type DataPlane,
  type FakeServer,
  outcomeText,
  ruleOf,
  type TestListen,
  virtualOf,
} from "../../../support/data-plane.ts";
import { within } from "../../../support/deadline.ts";

const calc: FakeServer = { name: "calc", tools: ["add"], resources: ["note://calc"] };
const notes: FakeServer = { name: "notes", resources: ["note://a", "note://b"] };
const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
const allFlags = {
  toolsListChanged: true,
  promptsListChanged: true,
  resourcesListChanged: true,
};
const subscription = (id: unknown) => ({ _meta: { "io.modelcontextprotocol/subscriptionId": id } });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function acknowledged(listen: TestListen): Promise<unknown> {
  await until(() => listen.messages.length > 0);
  expect(listen.messages[0]?.method).toBe("notifications/subscriptions/acknowledged");
  return JSON.parse(objectText(listen.messages[0]?.params ?? readObject("{}"))).notifications;
}

function updated(plane: DataPlane, server: string, uri: string): void {
  const params = readObject(`{"uri":${JSON.stringify(uri)}, "x": 12345678901234567890}`);
  plane.change(server, { kind: "resource", uri, params });
}

describe("acknowledgement", () => {
  test("it comes first, with the honoured subset and the id's own type", async () => {
    const honours = () => ({ ...emptyFilter, toolsListChanged: true });
    // It has resources and does not tell of them; the gateway's own list of them changes all the same.
    const capabilitiesText = '{"tools":{"listChanged":true},"resources":{}}';
    const own = { ...calc, honours, capabilitiesText };
    const plane = createDataPlane([own], clientOf("ci", everything));
    for (const idText of ["7", '"7"']) {
      const listen = plane.listen("ci", allFlags, { scope: "calc", idText });
      await until(() => plane.following.size === 1);
      plane.change("calc", { kind: "tools" });
      await until(() => listen.messages.length === 2);
      const notifications = { toolsListChanged: true, resourcesListChanged: true };
      const id = JSON.parse(idText);
      expect(listen.told()).toEqual([
        ["notifications/subscriptions/acknowledged", { notifications, ...subscription(id) }],
        ["notifications/tools/list_changed", subscription(id)],
      ]);
      listen.cancel();
      await listen.reply;
    }
  });

  test("a server that is late is waited for only so long, and taken at its word", async () => {
    const honours = () => new Promise<typeof emptyFilter>(() => {});
    const plane = createDataPlane([{ ...calc, honours }], clientOf("ci", everything));
    const listen = plane.listen("ci", { toolsListChanged: true }, { scope: "calc" });
    expect(await acknowledged(listen)).toEqual({ toolsListChanged: true });
    listen.cancel();
  });

  test("where nothing is honoured the listen ends with its result", async () => {
    const plane = createDataPlane(
      [{ ...calc, honours: () => emptyFilter, capabilitiesText: "{}" }],
      clientOf("ci", everything),
    );
    const listen = plane.listen("ci", allFlags, { scope: "calc" });
    expect(outcomeText(await listen.reply)).toBe(
      '{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":7}}',
    );
    expect(listen.told()).toEqual([
      ["notifications/subscriptions/acknowledged", { notifications: {}, ...subscription(7) }],
    ]);
    expect(plane.following.size).toBe(0);
  });

  test("TS-08: changes that come before it are told after it", async () => {
    const said = Promise.withResolvers<typeof emptyFilter>();
    const plane = createDataPlane(
      [{ ...calc, honours: () => said.promise }],
      clientOf("ci", everything),
    );
    const asked = { toolsListChanged: true, resourceSubscriptions: ["note://calc"] };
    const listen = plane.listen("ci", asked, { scope: "calc" });
    await until(() => plane.following.size === 1);
    plane.change("calc", { kind: "tools" });
    updated(plane, "calc", "note://calc");
    await pause(80);
    expect(listen.messages).toEqual([]);
    said.resolve({
      ...emptyFilter,
      toolsListChanged: true,
      resourceSubscriptions: ["note://calc"],
    });
    await until(() => listen.messages.length === 3);
    expect(listen.messages.map((one) => one.method)).toEqual([
      "notifications/subscriptions/acknowledged",
      "notifications/resources/updated",
      "notifications/tools/list_changed",
    ]);
    listen.cancel();
  });
});

describe("who may hear what", () => {
  const noB = ruleOf("no-b", { condition: { ignoreCase: false, targetPattern: "note://b.*" } });

  test("TS-07: a URI that may not be read, or that nobody has, is not honoured", async () => {
    const plane = createDataPlane([calc, notes], [...clientOf("ci", everything), noB]);
    const resourceSubscriptions = ["note://a", "note://b", "note://nobody"];
    const listen = plane.listen("ci", { resourceSubscriptions });
    expect(await acknowledged(listen)).toEqual({ resourceSubscriptions: ["note://a"] });
    const followed = [...plane.following].map((one) => [
      one.server,
      one.filter.resourceSubscriptions,
    ]);
    expect(followed).toEqual([["notes", ["note://a"]]]);
    // A server may tell of a part of what was subscribed to; here it tells of what is forbidden.
    updated(plane, "notes", "note://b/1");
    updated(plane, "notes", "note://a/1");
    await until(() => listen.messages.length === 2);
    const params = objectText(listen.messages[1]?.params ?? readObject("{}"));
    expect(params).toContain('"uri":"note://a/1"');
    expect(params).toContain('"x": 12345678901234567890');
    listen.cancel();
  });

  test("TS-08: only what was asked is told, and other scopes hear nothing", async () => {
    const plane = createDataPlane([calc, notes], clientOf("ci", everything));
    const listen = plane.listen("ci", { promptsListChanged: true }, { scope: "calc" });
    await acknowledged(listen);
    plane.change("calc", { kind: "tools" });
    plane.change("notes", { kind: "prompts" });
    updated(plane, "calc", "note://calc");
    await pause(80);
    expect(listen.messages.length).toBe(1);
    listen.cancel();
  });

  test("a virtual server listens only to the servers that make its lists", async () => {
    const tools = [{ server: "calc", name: "add" }];
    const resources = [{ server: "notes", uriPattern: "note://a" }];
    const virtual = virtualOf("both", { tools, resources });
    const plane = createDataPlane([calc, notes], [...clientOf("ci", everything), virtual]);
    const asked = { ...allFlags, resourceSubscriptions: ["note://a", "note://b"] };
    const listen = plane.listen("ci", asked, { scope: "both" });
    expect(await acknowledged(listen)).toEqual({
      ...allFlags,
      resourceSubscriptions: ["note://a"],
    });
    const wanted = (server: string) => [...plane.following].find((one) => one.server === server);
    expect(wanted("calc")?.filter).toEqual({ ...emptyFilter, toolsListChanged: true });
    expect(wanted("notes")?.filter).toMatchObject({ toolsListChanged: false });
    listen.cancel();
  });

  test.each([
    ["notifications", undefined, "-", "invalid-params"],
    ["taskIds", { taskIds: ["t"] }, "-", "missing-client-capability"],
    ["an unknown scope", allFlags, "nowhere", "scope-unknown"],
  ])("refused: %s", async (_what, notifications, scope, fault) => {
    const plane = createDataPlane([calc], clientOf("ci", everything));
    const listen = plane.listen("ci", notifications, scope === "-" ? {} : { scope });
    expect((await listen.reply).outcome).toMatchObject({ fault: { name: fault } });
  });

  test("task ids of an agent with the extension are not honoured", async () => {
    const plane = createDataPlane([calc], clientOf("ci", everything));
    const capabilities = { extensions: { "io.modelcontextprotocol/tasks": {} } };
    const listen = plane.listen("ci", { taskIds: ["t"] }, { capabilities });
    expect(await acknowledged(listen)).toEqual({});
    await listen.reply;
  });

  test("the edge may listen for a legacy session", async () => {
    const plane = createDataPlane([calc], clientOf("ci", everything));
    const listen = plane.listen("ci", { toolsListChanged: true }, { era: "legacy" });
    expect(await acknowledged(listen)).toEqual({ toolsListChanged: true });
    listen.cancel();
  });
});

describe("changes", () => {
  test("many of one kind, from several servers, are one", async () => {
    const plane = createDataPlane([calc, notes], clientOf("ci", everything));
    const listen = plane.listen("ci", allFlags);
    await acknowledged(listen);
    for (let at = 0; at < 100; at += 1) {
      plane.change("calc", { kind: "tools" });
      plane.change("notes", { kind: "tools" });
    }
    plane.change("notes", { kind: "prompts" });
    await until(() => listen.messages.length > 2);
    plane.change("notes", { kind: "tools" });
    await until(() => listen.messages.length > 3);
    expect(listen.messages.slice(1).map((one) => one.method)).toEqual([
      "notifications/tools/list_changed",
      "notifications/prompts/list_changed",
      "notifications/tools/list_changed",
    ]);
    listen.cancel();
  });

  test("secrets in a server's params are masked", async () => {
    const plane = createDataPlane([notes], clientOf("ci", everything));
    const listen = plane.listen("ci", { resourceSubscriptions: ["note://a"] }, { scope: "notes" });
    await acknowledged(listen);
    const params = readObject('{"uri":"note://a","password":"hunter2hunter2"}');
    plane.change("notes", { kind: "resource", uri: "note://a", params });
    await until(() => listen.messages.length === 2);
    expect(JSON.stringify(listen.told())).not.toContain("hunter2");
    listen.cancel();
  });
});

describe("operators' changes", () => {
  test("TS-08 AZ-14: a change of policy is told, and a URI that may no longer be read is dropped", async () => {
    const state = clientOf("ci", everything);
    const plane = createDataPlane([calc, notes], state);
    const asked = { toolsListChanged: true, resourceSubscriptions: ["note://a", "note://b"] };
    const listen = plane.listen("ci", asked);
    await acknowledged(listen);
    plane.swap([
      ...state,
      ruleOf("no-b", { condition: { ignoreCase: false, targetPattern: "note://b" } }),
    ]);
    // At once, before the new plan is made.
    updated(plane, "notes", "note://b");
    await until(() => listen.messages.length === 2);
    expect(listen.messages[1]?.method).toBe("notifications/tools/list_changed");
    await until(() =>
      [...plane.following].some(
        ({ server, filter }) => server === "notes" && filter.resourceSubscriptions.length === 1,
      ),
    );
    expect(plane.following.size).toBe(2);
    updated(plane, "notes", "note://a");
    await until(() => listen.messages.length === 3);
    listen.cancel();
  });

  test("another client's change, or a token's, is not told", async () => {
    const state = clientOf("ci", everything);
    const plane = createDataPlane([calc], [...state, ...clientOf("other", everything)]);
    const listen = plane.listen("ci", allFlags);
    await acknowledged(listen);
    plane.swap([...state, ...clientOf("other", { allowedTools: ["calc__add"] })]);
    plane.swap(state);
    await pause(80);
    expect(listen.messages.length).toBe(1);
    // Its own is, and what it may see no longer is no longer followed.
    plane.swap(clientOf("ci", { allowedResources: ["note://nothing"] }));
    await until(() => listen.messages.length > 1);
    listen.cancel();
  });

  test("AN-14: a listen ends within a second of its token's withdrawal", async () => {
    const state = clientOf("ci", everything);
    const plane = createDataPlane([calc], state);
    const listen = plane.listen("ci", allFlags);
    await acknowledged(listen);
    plane.swap(state.filter((one) => one.kind !== "token"));
    await listen.reply;
    expect(plane.following.size).toBe(0);
  });

  test("AN-15: a listen ends within a second of its token's expiry", async () => {
    const [client, token] = clientOf("ci", everything);
    const expiresAtMs = Date.now() + 300;
    const expiring = { ...token, body: { ...(token?.body as object), expiresAtMs } };
    const plane = createDataPlane([calc], [client, expiring] as never);
    await within("its end", plane.listen("ci", allFlags).reply, 1_300);
  });

  test("a listen ends where its scope is taken away", async () => {
    const state = clientOf("ci", everything);
    const virtual = virtualOf("both", { tools: [{ server: "calc", name: "add" }] });
    const plane = createDataPlane([calc], [...state, virtual]);
    const listen = plane.listen("ci", allFlags, { scope: "both" });
    await acknowledged(listen);
    plane.swap(state);
    expect((await listen.reply).outcome.kind).toBe("result");
  });
});

describe("bounds and records", () => {
  test("TS-07: listens have places of their own: two of one principal, three in all", async () => {
    const state = [...clientOf("ci", everything), ...clientOf("cd", everything)];
    const plane = createDataPlane([calc], state);
    const held = [plane.listen("ci", allFlags), plane.listen("ci", allFlags)];
    const third = await plane.listen("ci", allFlags).reply;
    expect(third.outcome).toMatchObject({ fault: { name: "too-many-in-flight" } });
    held.push(plane.listen("cd", allFlags));
    const fourth = await plane.listen("cd", allFlags).reply;
    expect(fourth.outcome).toMatchObject({ fault: { name: "overloaded" } });
    for (const one of held) one.cancel();
    await Promise.all(held.map((one) => one.reply));
    const again = plane.listen("ci", allFlags);
    await acknowledged(again);
    again.cancel();
  });

  test("a listen outlives the time of a call, and is recorded once, at its end", async () => {
    const plane = createDataPlane([calc], clientOf("ci", everything));
    const listen = plane.listen("ci", allFlags);
    // The plane's calls may take a second.
    await pause(1_200);
    plane.change("calc", { kind: "tools" });
    await until(() => listen.messages.length === 2);
    expect(plane.records).toEqual([]);
    listen.cancel();
    await listen.reply;
    await until(() => plane.records.length === 1);
    expect(plane.records[0]).toMatchObject({
      event: "call.outcome",
      class: "C",
      level: "queued",
      facts: { method: "subscriptions/listen", status: "success" },
    });
    expect(Number(plane.records[0]?.facts.durationUs)).toBeGreaterThan(1_000_000);
    expect(plane.following.size).toBe(0);
  });

  test("draining ends all of them and takes no more", async () => {
    const plane = createDataPlane([calc], clientOf("ci", everything));
    const listen = plane.listen("ci", allFlags);
    await acknowledged(listen);
    plane.dispatch.endListens();
    expect((await listen.reply).outcome.kind).toBe("result");
    const late = await plane.listen("ci", allFlags).reply;
    expect(late.outcome).toMatchObject({ fault: { name: "draining" } });
  });
});
