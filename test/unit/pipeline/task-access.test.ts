/**
 * Tasks through the whole pipeline, with servers that are plain values: ids are the principal's alone and are decided
 * anew each time, in the same words whatever is wrong (AZ-07).
 */
import { describe, expect, test } from "bun:test";
import type { Obligations } from "../../../src/policy/rule.ts";
import { readObject, stringMember } from "../../../src/protocol/json-view.ts";
import type { McpRequest, Outcome } from "../../../src/protocol/messages.ts";
import {
  clientOf,
  createDataPlane,
  type DataPlane,
  type FakeServer,
  outcomeText,
  ruleOf,
  virtualOf,
} from "../../support/data-plane.ts";
import { until } from "../../support/deadline.ts";

const tasks = "io.modelcontextprotocol/tasks";
const extension = { extensions: { [tasks]: {} } };
const withForms = { ...extension, elicitation: { form: {} } };
const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
const state = [...clientOf("ann", everything), ...clientOf("bob", everything)];
const ask = { method: "elicitation/create", params: { message: "Name?", requestedSchema: {} } };

const result = (value: object): Outcome => ({
  kind: "result",
  result: readObject(JSON.stringify(value)),
});
const task = (more: object) => ({ taskId: "up-1", status: "working", ttlMs: null, ...more });

/** Calls become tasks; `told` is what `tasks/get` tells of them. */
function server(name: string, told: object = {}): FakeServer & { readonly got: McpRequest[] } {
  const got: McpRequest[] = [];
  return {
    name,
    got,
    tools: ["index", "drop"],
    settings: [{ tool: "drop", readOnly: true }],
    capabilitiesText: JSON.stringify({ tools: {}, ...extension }),
    answer(request) {
      got.push(request);
      switch (request.method) {
        case "tools/call":
          return result(task({ resultType: "task" }));
        case "tasks/get":
          return result(task({ resultType: "task", ...told }));
        case "tasks/update":
        case "tasks/cancel":
          return result({ resultType: "complete" });
        default:
          return undefined;
      }
    },
  };
}

async function begin(plane: DataPlane, tool = "files__index", who = "ann", scope = "all") {
  const reply = await plane.ask(who, "tools/call", { name: tool }, scope, extension);
  return String(JSON.parse(outcomeText(reply)).taskId);
}

test("a task has the same id with every answer, and its server hears its own", async () => {
  const files = server("files");
  const plane = createDataPlane([files], state);
  const taskId = await begin(plane);
  expect(taskId).not.toContain("up-1");
  expect(await begin(plane)).toBe(taskId);
  for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
    const answers = method === "tasks/update" ? { inputResponses: {} } : {};
    const reply = await plane.ask("ann", method, { taskId, ...answers }, "all", extension);
    expect(reply.outcome.kind).toBe("result");
    const [last] = files.got.slice(-1);
    expect(last?.method).toBe(method);
    expect(last?.params && stringMember(last.params, "taskId")).toBe("up-1");
    expect(outcomeText(reply)).not.toContain("up-1");
  }
  const got = await plane.ask("ann", "tasks/get", { taskId }, "all", extension);
  expect(JSON.parse(outcomeText(got))).toMatchObject({ taskId, resultType: "complete" });
});

test("AZ-07: another principal's id, a made-up one and one of a forbidden tool read alike", async () => {
  const files = server("files");
  const plane = createDataPlane([files], [...state, ...virtualOfTools()]);
  const taskId = await begin(plane);
  const bobs = await begin(plane, "files__index", "bob");
  expect(bobs).not.toBe(taskId);
  const before = files.got.length;
  const unknown = async (who: string, id: string, scope = "all") =>
    outcomeText(await plane.ask(who, "tasks/get", { taskId: id }, scope, extension));
  const answers = [
    await unknown("bob", taskId),
    await unknown("ann", bobs),
    await unknown("ann", "up-1"),
    await unknown("ann", `${taskId}x`),
    // The virtual server shows `drop` alone.
    await unknown("ann", taskId, "few"),
  ];
  plane.swap([
    ...state,
    ruleOf("no-index", { condition: { ignoreCase: false, targetPattern: "index" } }),
  ]);
  answers.push(await unknown("ann", taskId));
  expect(new Set(answers).size).toBe(1);
  expect(answers[0]).toContain("Unknown task");
  expect(files.got.length).toBe(before);
  const { facts, class: auditClass } = plane.records.at(-1) ?? {};
  expect(auditClass).toBe("B");
  expect(facts).toMatchObject({
    method: "tasks/get",
    server: "files",
    tool: "index",
    status: "denied",
  });
});

test("a server that does not know its task is told of in the same words", async () => {
  const files = server("files");
  const error = { code: -32602, message: "Task up-1 not found", dataText: undefined };
  const gone: FakeServer = {
    ...files,
    answer: (request) =>
      request.method === "tools/call" ? files.answer?.(request) : { kind: "error", error },
  };
  const plane = createDataPlane([gone], state);
  const taskId = await begin(plane);
  for (const method of ["tasks/get", "tasks/cancel"]) {
    const reply = await plane.ask("ann", method, { taskId }, "all", extension);
    expect(outcomeText(reply)).toContain("Unknown task");
    expect(outcomeText(reply)).not.toContain("up-1");
  }
});

test("without the extension in that very request: -32021 that names it, and no server is asked", async () => {
  const files = server("files");
  const plane = createDataPlane([files], state);
  const taskId = await begin(plane);
  const before = files.got.length;
  for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
    const { outcome } = await plane.ask("ann", method, { taskId }, "all", { elicitation: {} });
    expect(outcome).toMatchObject({
      kind: "fault",
      fault: { name: "missing-client-capability", data: { requiredCapabilities: extension } },
    });
  }
  expect(files.got.length).toBe(before);
  for (const method of ["tasks/list", "tasks/result"]) {
    const { outcome } = await plane.ask("ann", method, { taskId }, "all", extension);
    expect(outcome).toMatchObject({ kind: "fault", fault: { name: "method-not-found" } });
  }
  const bare = await plane.ask("ann", "tasks/get", {}, "all", extension);
  expect(bare.outcome).toMatchObject({ kind: "fault", fault: { name: "invalid-params" } });
});

test("an id without an end, or none, is the server's fault", async () => {
  for (const taskId of ["x".repeat(5_000), undefined, ""]) {
    const files = server("files");
    const broken: FakeServer = {
      ...files,
      answer: (request) =>
        request.method === "tools/call"
          ? result({ ...task({ resultType: "task" }), taskId })
          : files.answer?.(request),
    };
    const plane = createDataPlane([broken], state);
    const reply = await plane.ask("ann", "tools/call", { name: "files__index" }, "all", extension);
    expect(reply.outcome).toMatchObject({ kind: "fault", fault: { reason: "task-id" } });
  }
});

describe("what is told of a task", () => {
  test("is masked like the result of a call", async () => {
    const told = { status: "completed", result: { structuredContent: { password: "hunter2" } } };
    const plane = createDataPlane([server("files", told)], state);
    const reply = await plane.ask(
      "ann",
      "tasks/get",
      { taskId: await begin(plane) },
      "all",
      extension,
    );
    expect(outcomeText(reply)).not.toContain("hunter2");
    expect(outcomeText(reply)).toContain("[redacted]");
  });

  test("names who asks, keeps forms that ask for a password, and asks only what was declared", async () => {
    const form = {
      ...ask,
      params: { ...ask.params, requestedSchema: { properties: { password: {} } } },
    };
    const told = { status: "input_required", inputRequests: { secret: form } };
    const plane = createDataPlane([server("files", told)], state);
    const taskId = await begin(plane);
    const asked = await plane.ask("ann", "tasks/get", { taskId }, "all", withForms);
    expect(JSON.parse(outcomeText(asked)).inputRequests.secret.params).toEqual({
      message: "[files] Name?",
      requestedSchema: { properties: { password: {} } },
    });
    const own = await plane.ask("ann", "tasks/get", { taskId }, "files", withForms);
    expect(JSON.parse(outcomeText(own)).inputRequests.secret.params.message).toBe("Name?");
    const undeclared = await plane.ask("ann", "tasks/get", { taskId }, "all", extension);
    expect(undeclared.outcome).toMatchObject({
      fault: {
        name: "missing-client-capability",
        data: { requiredCapabilities: { elicitation: { form: {} } } },
      },
    });
  });

  test("with no question yet, or with nonsense in its place", async () => {
    const none = createDataPlane(
      [server("files", { status: "input_required", inputRequests: {} })],
      state,
    );
    const taskId = await begin(none);
    const asked = await none.ask("ann", "tasks/get", { taskId }, "all", extension);
    expect(JSON.parse(outcomeText(asked)).inputRequests).toEqual({});
    const bad = createDataPlane(
      [server("files", { status: "input_required", inputRequests: { a: { method: "ping" } } })],
      state,
    );
    const refused = await bad.ask(
      "ann",
      "tasks/get",
      { taskId: await begin(bad) },
      "all",
      withForms,
    );
    expect(refused.outcome).toMatchObject({ fault: { reason: "question-malformed" } });
  });
});

test("answers must be an object of objects, and no requestState comes with them", async () => {
  const plane = createDataPlane([server("files")], state);
  const taskId = await begin(plane);
  for (const more of [
    { inputResponses: { a: 1 } },
    { inputResponses: [] },
    { requestState: "x" },
  ]) {
    const { outcome } = await plane.ask(
      "ann",
      "tasks/update",
      { taskId, ...more },
      "all",
      extension,
    );
    expect(outcome).toMatchObject({ kind: "fault", fault: { name: "invalid-params" } });
  }
});

test("looking at a task is recorded as a read, acting on it like its tool", async () => {
  const plane = createDataPlane([server("files")], state);
  const classOf = async (tool: string, method: string) => {
    const taskId = await begin(plane, tool);
    plane.records.length = 0;
    await plane.ask("ann", method, { taskId }, "all", extension);
    return plane.records.map((record) => `${record.event} ${record.class}`);
  };
  const reads = ["call.intent B", "call.outcome B"];
  const acts = ["call.intent A", "call.outcome A"];
  expect(await classOf("files__index", "tasks/get")).toEqual(reads);
  expect(await classOf("files__index", "tasks/update")).toEqual(acts);
  expect(await classOf("files__index", "tasks/cancel")).toEqual(acts);
  expect(await classOf("files__drop", "tasks/cancel")).toEqual(reads);
});

function virtualOfTools() {
  return [virtualOf("few", { tools: [{ server: "files", name: "drop" }] })];
}

describe("AZ-10: what follows a task is decided like the call that began it", () => {
  const nothing = {
    scopes: [],
    stepUp: [],
    approval: false,
    redaction: undefined,
    auditClass: undefined,
    rateTier: undefined,
    rateLimits: [],
  };

  test.each([
    [
      "a login",
      { stepUp: [{ acrValues: ["gold"], amrValues: [], maxAgeSeconds: undefined }] },
      "step-up-required",
    ],
    ["an approval", { approval: true }, "approval-required"],
  ])("%s that is owed since is owed by every request about it", async (_name, owed, want) => {
    let obligations: Obligations = nothing;
    const decide = () => ({ allowed: true, reason: "", ruleId: "role:x", obligations });
    const compile = () => ({ decide, seesServer: () => true });
    const files = server("files");
    const plane = createDataPlane([files], state, undefined, { compile });
    const taskId = await begin(plane);
    const before = files.got.length;
    obligations = { ...nothing, ...owed };
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      const { outcome } = await plane.ask("ann", method, { taskId }, "all", extension);
      expect(outcome).toMatchObject({ kind: "fault", fault: { name: want } });
    }
    expect(files.got.length).toBe(before);
  });

  test("a task whose results a profile masks is asked for, not told of", async () => {
    const obligations: Obligations = { ...nothing, redaction: "pii" };
    const decide = () => ({ allowed: true, reason: "", ruleId: "role:x", obligations });
    const compile = () => ({ decide, seesServer: () => true });
    const plane = createDataPlane([server("files")], state, undefined, {
      compile,
      redact: (object) => ({ result: object, masked: 0 }),
    });
    const taskId = await begin(plane);
    const listen = plane.listen("ann", { taskIds: [taskId] }, { capabilities: extension });
    await until("the acknowledgement", () => listen.messages.length === 1);
    expect(JSON.stringify(listen.told())).not.toContain(taskId);
    listen.cancel();
    await listen.reply;
  });
});
