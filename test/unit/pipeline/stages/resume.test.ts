/** Questions through the whole pipeline: sealing, opening, the rules, the record, the cache and the redaction. */
import { describe, expect, test } from "bun:test";
import { objectText, readObject } from "../../../../src/protocol/json-view.ts";
import type { McpRequest, Outcome } from "../../../../src/protocol/messages.ts";
import {
  clientOf,
  createDataPlane,
  type FakeServer,
  outcomeText,
} from "../../../support/data-plane.ts";

const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
const clients = [...clientOf("a", everything), ...clientOf("b", everything)];
const form = { elicitation: {} };
const elicitation = {
  method: "elicitation/create",
  params: { message: "Sure?", requestedSchema: { type: "object", properties: {} } },
};

const result = (value: object): Outcome => ({
  kind: "result",
  result: readObject(JSON.stringify(value)),
});

function question(more: object = {}): Outcome {
  const inputRequests = { sure: elicitation };
  return result({ resultType: "input_required", inputRequests, requestState: "mine", ...more });
}

/** A server that asks once, then says what it got. */
function asker(got: string[], first: () => Outcome = question): Partial<FakeServer> {
  return {
    answer(request: McpRequest) {
      if (!["tools/call", "prompts/get", "resources/read"].includes(request.method)) return;
      const text = request.params === undefined ? "" : objectText(request.params);
      got.push(text);
      return text.includes('"requestState"') ? result({ content: [] }) : first();
    },
  };
}

function planeOf(first?: () => Outcome, more: Partial<FakeServer> = {}) {
  const got: string[] = [];
  const lists = { tools: ["add", "sub"], prompts: ["sum"], resources: ["note://1"] };
  const calc = { name: "calc", ...lists, ...asker(got, first), ...more };
  const twin = { name: "twin", tools: ["add"], ...asker(got, first) };
  return { got, plane: createDataPlane([calc, twin], clients) };
}

const add = { name: "calc__add", arguments: { b: 1, a: 2 } };

async function askedState(plane: ReturnType<typeof planeOf>["plane"], params: object = add) {
  const reply = await plane.ask("a", "tools/call", params, "all", form);
  return String(JSON.parse(outcomeText(reply)).requestState);
}

describe("a call over two rounds", () => {
  test("the agent sees a sealed state, the server its own, and nothing else changes", async () => {
    const { plane, got } = planeOf();
    const requestState = await askedState(plane);
    expect(requestState.length).toBeGreaterThan(100);
    const inputResponses = { sure: { action: "accept", content: {} } };
    const retry = { ...add, inputResponses, requestState };
    const reply = await plane.ask("a", "tools/call", retry, "all", form);
    expect(outcomeText(reply)).toBe('{"content":[]}');
    expect(got[1]).toBe(JSON.stringify({ ...retry, name: "add", requestState: "mine" }));
  });

  test.each([
    ["tools/call", { name: "add" }],
    ["prompts/get", { name: "sum" }],
    ["resources/read", { uri: "note://1" }],
  ])("%s may ask; on its own scope the server's words stay as they are", async (method, params) => {
    const { plane } = planeOf();
    const reply = await plane.ask("a", method, params, "calc", form);
    const asked = JSON.parse(outcomeText(reply));
    expect(asked.inputRequests).toEqual({ sure: elicitation });
    const retry = { ...params, requestState: asked.requestState };
    expect((await plane.ask("a", method, retry, "calc", form)).outcome.kind).toBe("result");
  });

  test("the same params in another order, spelling and _meta are the same call", async () => {
    const { plane } = planeOf();
    const requestState = await askedState(plane);
    const retry = { requestState, arguments: { a: 2.0, b: 1 }, _meta: { x: 1 }, name: add.name };
    const reply = await plane.ask("a", "tools/call", retry, "all", form);
    expect(reply.outcome.kind).toBe("result");
  });

  test("where several servers are joined, the question says who asks", async () => {
    const { plane } = planeOf();
    const reply = await plane.ask("a", "tools/call", add, "all", form);
    const { inputRequests } = JSON.parse(outcomeText(reply));
    expect(inputRequests.sure.params.message).toBe("[calc] Sure?");
  });

  test("a question without a state passes without one", async () => {
    const { plane } = planeOf(() => question({ requestState: undefined }));
    const reply = await plane.ask("a", "tools/call", add, "all", form);
    expect(outcomeText(reply)).not.toContain("requestState");
    expect(reply.outcome.kind).toBe("result");
  });
});

describe("AZ-09: a state that is not this call's is refused, and no server sees it", () => {
  const refused = {
    kind: "fault",
    fault: {
      name: "invalid-params",
      message: "Invalid params: requestState is not valid for this call, or no longer",
    },
  };

  test.each([
    ["another principal", "b", add, "state-principal"],
    ["other arguments", "a", { ...add, arguments: { a: 2, b: 2 } }, "state-params"],
    ["another tool", "a", { ...add, name: "calc__sub" }, "state-target"],
    ["another server", "a", { ...add, name: "twin__add" }, "state-target"],
  ])("%s", async (_what, who, params, reason) => {
    const { plane, got } = planeOf();
    const requestState = await askedState(plane);
    const reply = await plane.ask(who, "tools/call", { ...params, requestState }, "all", form);
    expect(reply.outcome).toMatchObject(refused);
    expect(plane.records.at(-1)?.facts).toMatchObject({ reason, status: "rejected" });
    expect(got).toHaveLength(1);
  });

  test.each(["mine", "", "x".repeat(300), 7, null, { a: 1 }])("made up: %j", async (state) => {
    const { plane, got } = planeOf();
    const params = { ...add, requestState: state };
    const reply = await plane.ask("a", "tools/call", params, "all", form);
    expect(reply.outcome).toMatchObject(refused);
    expect(got).toEqual([]);
  });

  test.each([
    ["tools/call", { ...add, inputResponses: [] }],
    ["tools/call", { ...add, inputResponses: { sure: "yes" } }],
    ["tools/call", { ...add, inputResponses: null }],
    ["tools/list", { requestState: "x" }],
    ["completion/complete", { ref: { type: "ref/prompt", name: "calc__sum" }, inputResponses: {} }],
  ])("PR-24: %s with answers out of form or out of place: %j", async (method, params) => {
    const { plane, got } = planeOf();
    const reply = await plane.ask("a", method, params, "all", form);
    expect(reply.outcome).toMatchObject({ fault: { name: "invalid-params" } });
    expect(got).toEqual([]);
  });
});

describe("PR-24: a question against the rules does not reach the agent", () => {
  test.each([
    ["no questions and no state", {}],
    ["an unknown kind", { inputRequests: { x: { method: "tools/call" } } }],
    ["no object", { inputRequests: { x: 1 } }],
    ["a map that is none", { inputRequests: [], requestState: "x" }],
    ["a state that is no string", { requestState: 1 }],
    ["a state too long", { requestState: "x".repeat(70_000) }],
  ])("%s", async (_what, members) => {
    const { plane } = planeOf(() => result({ resultType: "input_required", ...members }));
    const reply = await plane.ask("a", "tools/call", add, "all", form);
    expect(reply.outcome).toMatchObject({ fault: { name: "upstream-invalid" } });
  });

  test.each([
    ["tools/list", undefined],
    ["completion/complete", { ref: { type: "ref/prompt", name: "sum" }, argument: {} }],
  ])("from %s, which may not ask", async (method, params) => {
    const { plane } = planeOf(undefined, { answer: () => question() });
    const reply = await plane.ask("a", method, params, "calc", form);
    expect(reply.outcome).toMatchObject({
      fault: { name: "upstream-invalid", reason: "question-not-allowed" },
    });
  });

  test("from a list that is joined with others, which are still shown", async () => {
    const { plane } = planeOf(undefined, { answer: () => question() });
    const listed = outcomeText(await plane.ask("a", "tools/list", undefined, "all", form));
    expect(listed).toContain('"tools":[{"name":"twin__add"}]');
  });

  test.each([
    ["a form", elicitation, {}, { elicitation: { form: {} } }],
    ["a form", elicitation, { elicitation: { url: {} } }, { elicitation: { form: {} } }],
    [
      "a URL",
      { method: "elicitation/create", params: { mode: "url", message: "m", url: "https://x" } },
      form,
      { elicitation: { url: {} } },
    ],
    ["roots", { method: "roots/list" }, form, { roots: {} }],
    [
      "sampling with tools",
      { method: "sampling/createMessage", params: { messages: [], tools: [] } },
      { sampling: {} },
      { sampling: { tools: {} } },
    ],
  ])("undeclared: %s", async (_what, one, capabilities, requiredCapabilities) => {
    const { plane } = planeOf(() => question({ inputRequests: { one } }));
    const reply = await plane.ask("a", "tools/call", add, "all", capabilities);
    expect(reply.outcome).toMatchObject({
      fault: { name: "missing-client-capability", data: { requiredCapabilities } },
    });
  });

  test("a server that never stops asking is stopped", async () => {
    const { plane } = planeOf(undefined, { answer: () => question() });
    let requestState: string | undefined;
    let rounds = 0;
    for (; rounds < 20; rounds += 1) {
      const reply = await plane.ask("a", "tools/call", { ...add, requestState }, "all", form);
      if (reply.outcome.kind !== "result") {
        expect(reply.outcome).toMatchObject({ fault: { reason: "too-many-rounds" } });
        break;
      }
      requestState = JSON.parse(outcomeText(reply)).requestState;
    }
    expect(rounds).toBe(8);
  });
});

describe("what else a question touches", () => {
  test("each round has its own records, and a question its own status", async () => {
    const { plane } = planeOf();
    const requestState = await askedState(plane);
    await plane.ask("a", "tools/call", { ...add, requestState }, "all", form);
    expect(plane.records.map(({ event, facts }) => [event, facts.status])).toEqual([
      ["call.intent", undefined],
      ["call.outcome", "input_required"],
      ["call.intent", undefined],
      ["call.outcome", "success"],
    ]);
  });

  test("CA-06: neither a question nor the result of a later round is kept", async () => {
    const settings = [{ tool: "add", cacheTtlMs: 60_000 }];
    const { plane, got } = planeOf(undefined, { settings });
    const requestState = await askedState(plane);
    const inputResponses = { sure: { action: "accept" } };
    await plane.ask("a", "tools/call", { ...add, requestState, inputResponses }, "all", form);
    expect(await askedState(plane)).not.toBe(requestState);
    const stateless = { ...add, inputResponses };
    await plane.ask("a", "tools/call", stateless, "all", form);
    await plane.ask("a", "tools/call", stateless, "all", form);
    expect(got).toHaveLength(5);
  });

  test("PV-06: a form may ask for a password; a value that is one is still masked", async () => {
    const requestedSchema = {
      type: "object",
      properties: { password: { type: "string" } },
      required: ["password"],
    };
    const messages = [{ role: "user", content: { type: "text", text: '{"password":"hunter2"}' } }];
    const inputRequests = {
      token: { method: "elicitation/create", params: { message: "m", requestedSchema } },
      ask: { method: "sampling/createMessage", params: { messages, maxTokens: 9 } },
    };
    const requestState = '{"token":"the server\'s own"}';
    const { plane, got } = planeOf(() => question({ inputRequests, requestState }));
    const capabilities = { ...form, sampling: {} };
    const reply = await plane.ask("a", "tools/call", { name: "add" }, "calc", capabilities);
    const asked = JSON.parse(outcomeText(reply));
    expect(asked.inputRequests.token).toEqual(inputRequests.token);
    expect(asked.inputRequests.ask.params.maxTokens).toBe(9);
    expect(outcomeText(reply)).not.toContain("hunter2");
    const retry = { name: "add", requestState: asked.requestState };
    await plane.ask("a", "tools/call", retry, "calc", capabilities);
    expect(JSON.parse(got[1] ?? "").requestState).toBe(requestState);
  });
});
