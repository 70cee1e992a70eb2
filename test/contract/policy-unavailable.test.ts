/**
 * AZ-04 and AZ-14 through the whole pipeline: policy that nobody confirms allows nothing on any path, and what changes
 * while connections are open holds from the next message on.
 */
import { expect, test } from "bun:test";
import { clientOf, createDataPlane, outcomeText, roleOf } from "../support/data-plane.ts";
import { until, within } from "../support/deadline.ts";

const files = {
  name: "files",
  tools: ["read", "drop"],
  resources: ["file:///a"],
  prompts: ["greet"],
};
const wide = roleOf("wide", [{ resource: "mcp:files:*", actions: ["*"] }]);
const narrow = roleOf("wide", [{ resource: "mcp:files:read", actions: ["invoke_tool"] }]);
const ann = clientOf("ann", { roles: ["wide"] });

const asked: readonly (readonly [string, object])[] = [
  ["tools/call", { name: "files__read" }],
  ["tools/list", {}],
  ["resources/read", { uri: "file:///a" }],
  ["resources/list", {}],
  ["prompts/get", { name: "files__greet" }],
  ["prompts/list", {}],
  ["completion/complete", { ref: { type: "ref/prompt", name: "files__greet" }, argument: {} }],
  ["subscriptions/listen", { notifications: { toolsListChanged: true } }],
];

test.each(asked)(
  "AZ-04: %s is denied while policy is unavailable, and recorded so",
  async (method, params) => {
    const plane = createDataPlane([files], [wide, ...ann]);
    plane.current.setFresh(false);
    const { outcome } = await plane.ask("ann", method, params);
    expect(outcome).toMatchObject({
      kind: "fault",
      fault: { name: "policy-denied", message: "Denied by policy", reason: "policy_unavailable" },
    });
    expect(plane.seen).toEqual([]);
    const { facts } = plane.records.findLast(({ event }) => event === "call.outcome") ?? {};
    if (facts !== undefined) expect(facts).toMatchObject({ reason: "policy_unavailable" });
    plane.current.setFresh(true);
    if (method === "tools/call") {
      expect(outcomeText(await plane.ask("ann", method, params))).toContain("read");
    }
  },
);

test("AZ-04: a listen ends when policy becomes unavailable", async () => {
  const plane = createDataPlane([files], [wide, ...ann]);
  const listen = plane.listen("ann", { toolsListChanged: true });
  plane.current.setFresh(false);
  await within("the listen's end", listen.reply, 2_000);
});

test("AZ-14: a role that shrinks while calls run decides the next one, and what a listener hears", async () => {
  const plane = createDataPlane([files], [wide, ...ann]);
  const call = async (name: string) =>
    (await plane.ask("ann", "tools/call", { name })).outcome.kind;
  expect([await call("files__read"), await call("files__drop")]).toEqual(["result", "result"]);
  plane.swap([narrow, ...ann]);
  expect([await call("files__read"), await call("files__drop")]).toEqual(["result", "fault"]);
  plane.swap(clientOf("ann"));
  expect(await call("files__read")).toBe("fault");
});

test("AZ-14: a listener whose role is taken away is told of nothing it may no longer see", async () => {
  const plane = createDataPlane([files], [wide, ...ann]);
  const listen = plane.listen("ann", { resourceSubscriptions: ["file:///a"] }, { scope: "files" });
  await until("the acknowledgement", () => listen.messages.length > 0);
  expect(plane.following.size).toBe(1);
  plane.swap([narrow, ...ann]);
  await until("the server's being left", () => plane.following.size === 0, 1_000);
  const heard = listen.messages.length;
  plane.change("files", { kind: "resource", uri: "file:///a", params: {} as never });
  expect(listen.messages.length).toBe(heard);
  listen.cancel();
});
