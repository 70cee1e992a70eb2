/**
 * The stage between a policy and the servers, with a policy that is a plain function: what it is asked on every way
 * to an object, what becomes of its answers, and that memory never speaks for it.
 */
import { describe, expect, test } from "bun:test";
import type { CompiledPolicy } from "../../../../src/policy/compile.ts";
import type { Decision, Obligations, Question } from "../../../../src/policy/rule.ts";
import { readObject } from "../../../../src/protocol/json-view.ts";
import { createRedactor } from "../../../../src/sanitize/redactor.ts";
import {
  clientOf,
  createDataPlane,
  type FakeServer,
  outcomeText,
} from "../../../support/data-plane.ts";
import { until } from "../../../support/deadline.ts";

const nothing: Obligations = {
  scopes: [],
  stepUp: [],
  approval: false,
  redaction: undefined,
  auditClass: undefined,
  rateTier: undefined,
  rateLimits: [],
};
const yes: Decision = { allowed: true, reason: "allowed", ruleId: "rule:yes" };
const no: Decision = { allowed: false, reason: "denied", ruleId: "rule:no" };
const owing = (owed: Partial<Obligations>): Decision => ({
  ...yes,
  obligations: { ...nothing, ...owed },
});
const state = [...clientOf("ann"), ...clientOf("bob")];
const files: FakeServer = {
  name: "files",
  tools: ["read", "drop"],
  prompts: ["greet"],
  resources: ["file:///a"],
  capabilitiesText: JSON.stringify({
    tools: {},
    prompts: {},
    resources: { subscribe: true },
    completions: {},
  }),
};

function planeWith(decide: CompiledPolicy["decide"], server: FakeServer = files) {
  const questions: Question[] = [];
  const policy: CompiledPolicy = {
    decide: (asker, question) => {
      questions.push(question);
      return decide(asker, question);
    },
    seesServer: () => true,
  };
  const redact = createRedactor({
    isEnabled: true,
    extraFields: [],
    excludedFields: [],
    profiles: [{ name: "pii", fields: ["email"], textPatterns: ["[0-9]{3}-[0-9]{4}"] }],
  });
  const plane = createDataPlane([server], state, undefined, { compile: () => policy, redact });
  return { ...plane, questions };
}

/** The questions with a call's facts, without the time. */
const callsIn = (questions: readonly Question[]) =>
  questions.flatMap(({ call, ...rest }) =>
    call === undefined ? [] : [{ ...rest, argumentsText: call.argumentsText, peer: call.peer }],
  );

describe("AZ-10 AZ-12 every way to an object asks with its arguments", () => {
  const prompt = { server: "files", kind: "prompt", target: "greet", action: "get_prompt" };
  const resource = {
    server: "files",
    kind: "resource",
    target: "file:///a",
    action: "read_resource",
  };
  const tool = { server: "files", kind: "tool", target: "read", action: "invoke_tool" };
  const completion = (ref: object, more: object = {}) => ({
    ref,
    argument: { name: "who", value: "An" },
    ...more,
  });
  const table: readonly [string, string, object, object][] = [
    [
      "tools/call",
      "tools/call",
      { name: "read", arguments: { path: "/a", n: 1.0 } },
      { ...tool, argumentsText: '{"path":"/a","n":1}' },
    ],
    [
      "a call without arguments",
      "tools/call",
      { name: "read" },
      { ...tool, argumentsText: undefined },
    ],
    [
      "null is no arguments",
      "tools/call",
      { name: "read", arguments: null },
      { ...tool, argumentsText: undefined },
    ],
    [
      "prompts/get",
      "prompts/get",
      { name: "greet", arguments: { who: "Ann" } },
      { ...prompt, argumentsText: '{"who":"Ann"}' },
    ],
    [
      "completion of a prompt",
      "completion/complete",
      completion({ type: "ref/prompt", name: "greet" }),
      { ...prompt, argumentsText: '{"who":"An"}' },
    ],
    [
      "completion with what is filled in; the one being completed as it stands",
      "completion/complete",
      completion(
        { type: "ref/prompt", name: "greet" },
        { context: { arguments: { how: "x", who: "old" } } },
      ),
      { ...prompt, argumentsText: '{"how":"x","who":"An"}' },
    ],
    [
      "completion of a resource",
      "completion/complete",
      completion({ type: "ref/resource", uri: "file:///a" }),
      { ...resource, argumentsText: '{"who":"An"}' },
    ],
    ["skills/get", "skills/get", { uri: "file:///a" }, { ...resource, argumentsText: undefined }],
    [
      "resources/read",
      "resources/read",
      { uri: "file:///a" },
      { ...resource, argumentsText: undefined },
    ],
  ];
  test.each(table)("%s", async (_name, method, params, want) => {
    const plane = planeWith((_asker, { call }) => (call === undefined ? yes : no));
    const { outcome } = await plane.ask("ann", method, params, "files");
    expect(callsIn(plane.questions)).toEqual([{ ...want, peer: "127.0.0.1" }] as never);
    // Denied for its facts alone, so there is nothing to hide, and nothing reached the server.
    expect(outcome).toMatchObject({ kind: "fault", fault: { name: "policy-denied" } });
    expect(plane.seen).toEqual([]);
  });

  test.each([[["/a"]], ["/a"], [1], [true]])(
    "AZ-12: arguments that are no object are refused before any rule reads them: %j",
    async (given) => {
      const plane = planeWith(() => yes);
      for (const method of ["tools/call", "prompts/get"]) {
        const params = { name: "read", arguments: given };
        const { outcome } = await plane.ask("ann", method, params, "files");
        expect(outcome).toMatchObject({ fault: { name: "invalid-params" } });
      }
      expect([plane.questions, plane.seen]).toEqual([[], []]);
    },
  );

  test("subscriptions: decided when they begin, and again with each change", async () => {
    let isOpen = true;
    const plane = planeWith((_asker, { call }) => (call === undefined || isOpen ? yes : no));
    const listen = plane.listen(
      "ann",
      { resourceSubscriptions: ["file:///a"] },
      { scope: "files" },
    );
    await until("the acknowledgement", () => listen.messages.length === 1);
    plane.change("files", updated);
    await until("the update", () => listen.messages.length === 2);
    isOpen = false;
    plane.change("files", updated);
    expect(listen.messages.length).toBe(2);
    listen.cancel();
    await listen.reply;
    expect(callsIn(plane.questions).every((one) => one.peer === "127.0.0.1")).toBe(true);
  });

  test("a subscription that owes something is not honoured", async () => {
    const plane = planeWith(() => owing({ approval: true }));
    const listen = plane.listen(
      "ann",
      { resourceSubscriptions: ["file:///a"] },
      { scope: "files" },
    );
    await until("the acknowledgement", () => listen.messages.length === 1);
    expect(JSON.stringify(listen.told())).not.toContain("file:///a");
    listen.cancel();
    await listen.reply;
  });
});

const updated = {
  kind: "resource",
  uri: "file:///a",
  params: readObject('{"uri":"file:///a"}'),
} as const;

describe("AZ-02 what is hidden and what is only denied", () => {
  test("a target that no call may reach reads like one that does not exist", async () => {
    const plane = planeWith(() => no);
    const hidden = await plane.ask("ann", "tools/call", { name: "read" }, "files");
    const missing = await planeWith(() => yes, { ...files, tools: [] }).ask(
      "ann",
      "tools/call",
      { name: "read" },
      "files",
    );
    expect(outcomeText(hidden)).toBe(outcomeText(missing));
  });

  test("P15: the caller reads a short code; the record says which rule", async () => {
    const plane = planeWith((_asker, { call }) => (call === undefined ? yes : no));
    const reply = await plane.ask("ann", "tools/call", { name: "read" }, "files");
    expect(outcomeText(reply)).toBe('{"name":"policy-denied","message":"Denied by policy"}');
    expect(plane.records.at(-1)?.facts).toMatchObject({
      status: "denied",
      error: "policy-denied",
      reason: "rule:no",
      decision: "rule:no",
    });
  });
});

describe("what is owed on the way in", () => {
  test.each([
    ["approval", { approval: true }, "approval-required"],
    [
      "a login",
      { stepUp: [{ acrValues: ["x"], amrValues: [], maxAgeSeconds: undefined }] },
      "step-up-required",
    ],
  ])("%s: refused before any server is asked, on every way", async (_name, owed, want) => {
    const plane = planeWith(() => owing(owed));
    for (const [method, params] of [
      ["tools/call", { name: "read" }],
      ["prompts/get", { name: "greet" }],
      ["resources/read", { uri: "file:///a" }],
      [
        "completion/complete",
        { ref: { type: "ref/prompt", name: "greet" }, argument: { name: "a", value: "" } },
      ],
    ] as const) {
      const { outcome } = await plane.ask("ann", method, params, "files");
      expect(outcome).toMatchObject({ kind: "fault", fault: { name: want } });
    }
    expect(plane.seen).toEqual([]);
    expect(plane.records.at(-1)).toMatchObject({
      class: "B",
      facts: { status: "denied", error: want },
    });
  });

  test("P23: what owes something is listed, so that agents can learn what to bring", async () => {
    const plane = planeWith(() => owing({ approval: true }));
    const reply = await plane.ask("ann", "tools/list", {}, "files");
    expect(JSON.parse(outcomeText(reply)).tools).toHaveLength(2);
  });
});

describe("answers from memory", () => {
  const said = { email: "ann@example.org", note: "call 555-1234", city: "Ulm" };
  const cached: FakeServer = {
    ...files,
    settings: [{ tool: "read", readOnly: true, cacheTtlMs: 60_000, cachePublic: true }],
    answer: (request) =>
      request.method === "tools/call"
        ? {
            kind: "result",
            result: readObject(JSON.stringify({ content: [], structuredContent: said })),
          }
        : undefined,
  };

  test("AZ-10: a hit is decided with its facts anew", async () => {
    let isOpen = true;
    const plane = planeWith(
      (_asker, { call }) => (call === undefined || isOpen ? yes : no),
      cached,
    );
    const params = { name: "read", arguments: { path: "/a" } };
    await plane.ask("ann", "tools/call", params, "files");
    await plane.ask("ann", "tools/call", params, "files");
    expect(plane.seen.length).toBe(1);
    isOpen = false;
    const { outcome } = await plane.ask("ann", "tools/call", params, "files");
    expect(outcome).toMatchObject({ fault: { name: "policy-denied" } });
  });

  test("a reply masked by a profile is nobody's who must not have it so, and the reverse", async () => {
    const plane = planeWith(
      (asker) => (asker.clientId === "bob" ? owing({ redaction: "pii" }) : yes),
      cached,
    );
    const ask = async (who: string) =>
      JSON.parse(outcomeText(await plane.ask(who, "tools/call", { name: "read" }, "files")))
        .structuredContent;
    const masked = { email: "[redacted]", note: "call [redacted]", city: "Ulm" };
    expect([await ask("ann"), await ask("bob"), await ask("ann"), await ask("bob")]).toEqual([
      said,
      masked,
      said,
      masked,
    ]);
    expect(plane.seen.length).toBe(2);
  });

  test("a profile nobody knows withholds the reply", async () => {
    const plane = planeWith(() => owing({ redaction: "gone" }), cached);
    const { outcome } = await plane.ask("ann", "tools/call", { name: "read" }, "files");
    expect(outcome).toMatchObject({
      fault: { name: "upstream-invalid", reason: "redaction-profile" },
    });
  });
});

describe("audit class", () => {
  const readOnly: FakeServer = { ...files, settings: [{ tool: "read", readOnly: true }] };
  test.each([
    ["none asked", undefined, "read", "B"],
    ["A raises B", "A", "read", "A"],
    ["B does not lower A", "B", "drop", "A"],
  ] as const)("%s", async (_name, auditClass, name, want) => {
    const plane = planeWith(() => owing({ auditClass }), readOnly);
    await plane.ask("ann", "tools/call", { name }, "files");
    expect(plane.records.map((one) => one.class)).toEqual([want, want]);
  });

  test("an answer from memory is recorded as surely as the rule says", async () => {
    const kept: FakeServer = {
      ...files,
      settings: [{ tool: "read", readOnly: true, cacheTtlMs: 60_000 }],
    };
    const plane = planeWith(() => owing({ auditClass: "A" }), kept);
    for (let call = 0; call < 2; call += 1) {
      await plane.ask("ann", "tools/call", { name: "read" }, "files");
    }
    expect(plane.records.at(-1)).toMatchObject({
      class: "A",
      level: "synced",
      facts: { cached: true },
    });
  });
});
