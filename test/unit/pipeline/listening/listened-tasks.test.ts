/** Listening to tasks: each under the id its listener knows, and none of anybody else's. */
import { expect, test } from "bun:test";
import { createTaskIds } from "../../../../src/pipeline/task-ids.ts";
import { readObject } from "../../../../src/protocol/json-view.ts";
import { clientOf, createDataPlane, type FakeServer, ruleOf } from "../../../support/data-plane.ts";
import { until } from "../../../support/deadline.ts";

const extension = { extensions: { "io.modelcontextprotocol/tasks": {} } };
const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
const state = [...clientOf("ann", everything), ...clientOf("bob", everything)];
const files: FakeServer = { name: "files", tools: ["index"] };
const notes: FakeServer = { name: "notes", tools: ["index"] };
const ids = createTaskIds({ tokenKey: Buffer.alloc(32, 7) });

function idOf(server: string, taskId: string, who = "ann", tool = "index"): string {
  return (
    ids.seal({ tenant: undefined, principalId: `client:${who}` }, { server, tool, taskId }) ?? ""
  );
}

const changed = (taskId: string, more: object = {}) => ({
  kind: "task" as const,
  taskId,
  params: readObject(JSON.stringify({ taskId, status: "working", ...more })),
});
const meta = { _meta: { "io.modelcontextprotocol/subscriptionId": 7 } };

test("own tasks are honoured, followed at their servers, and told under the listener's ids", async () => {
  const plane = createDataPlane([files, notes], state);
  const mine = [idOf("files", "a"), idOf("notes", "a")];
  const foreign = [idOf("files", "a", "bob"), idOf("gone", "a"), "a", "made-up"];
  const taskIds = [...foreign, ...mine];
  const listen = plane.listen("ann", { taskIds }, { capabilities: extension });
  await until("the acknowledgement", () => listen.messages.length > 0);
  expect(listen.told()[0]).toMatchObject([
    "notifications/subscriptions/acknowledged",
    { notifications: { taskIds: mine } },
  ]);
  const followed = [...plane.following].map(({ server, filter }) => [server, filter.taskIds]);
  expect(followed).toEqual([
    ["files", ["a"]],
    ["notes", ["a"]],
  ]);
  plane.change("notes", changed("a"));
  plane.change("files", changed("other"));
  plane.change("files", changed("a", { status: "completed", result: { password: "hunter2" } }));
  await until("both", () => listen.messages.length > 2);
  expect(listen.told().slice(1)).toMatchObject([
    ["notifications/tasks", { taskId: mine[1], status: "working", ...meta }],
    ["notifications/tasks", { taskId: mine[0], status: "completed", ...meta }],
  ]);
  expect(JSON.stringify(listen.told())).not.toContain("hunter2");
  listen.cancel();
});

test("a tool forbidden since ends what is told of its tasks", async () => {
  const plane = createDataPlane([files], state);
  const taskIds = [idOf("files", "a")];
  const asked = { taskIds, toolsListChanged: true };
  const listen = plane.listen("ann", asked, { capabilities: extension });
  await until("the acknowledgement", () => listen.messages.length > 0);
  const [before] = plane.following;
  plane.swap([
    ...state,
    ruleOf("no-index", { condition: { ignoreCase: false, targetPattern: "index" } }),
  ]);
  before?.onChange(changed("a"));
  await until("the new plan", () =>
    [...plane.following].every(({ filter }) => filter.taskIds.length === 0),
  );
  await Bun.sleep(80);
  expect(JSON.stringify(listen.told())).not.toContain("notifications/tasks");
  listen.cancel();
});

test("without the extension: -32021, and nothing is followed", async () => {
  const plane = createDataPlane([files], state);
  const listen = plane.listen("ann", { taskIds: [idOf("files", "a")] });
  expect((await listen.reply).outcome).toMatchObject({
    kind: "fault",
    fault: { name: "missing-client-capability", data: { requiredCapabilities: extension } },
  });
  expect(plane.following.size).toBe(0);
});

test("questions are told to who declared that they can answer, and name who asks", async () => {
  const inputRequests = { a: { method: "elicitation/create", params: { message: "Name?" } } };
  const plane = createDataPlane([files], state);
  const taskIds = [idOf("files", "a")];
  const able = { ...extension, elicitation: { form: {} } };
  const [one, other] = [able, extension].map((capabilities, at) =>
    plane.listen("ann", { taskIds }, { capabilities, idText: String(at + 1) }),
  );
  await until("both", () => one?.messages.length === 1 && other?.messages.length === 1);
  plane.change("files", changed("a", { status: "input_required", inputRequests }));
  await until("both", () => one?.messages.length === 2 && other?.messages.length === 2);
  expect(JSON.stringify(one?.told())).toContain("[files] Name?");
  expect(JSON.stringify(other?.told())).not.toContain("Name?");
  one?.cancel();
  other?.cancel();
});
