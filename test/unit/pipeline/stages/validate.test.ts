/** PR-22 and PR-23 through the pipeline: which calls never reach their server, what is said, and what is recorded. */
import { expect, test } from "bun:test";
import { systemClock } from "../../../../src/lib/clock.ts";
import type { Exchange } from "../../../../src/pipeline/exchange.ts";
import { createValidateStage } from "../../../../src/pipeline/stages/validate.ts";
import { readObject } from "../../../../src/protocol/json-view.ts";
import type { Revision } from "../../../../src/protocol/revisions.ts";
import { createArgumentCheck } from "../../../../src/schemas/argument-check.ts";
import { silentLog } from "../../../../src/telemetry/log.ts";
import { createMetrics } from "../../../../src/telemetry/metrics.ts";
import { clientOf, createDataPlane, outcomeText, ruleOf } from "../../../support/data-plane.ts";

const counted = {
  type: "object",
  properties: { count: { type: "integer" } },
  required: ["count"],
  additionalProperties: false,
};
const fetching = { type: "object", $ref: "https://evil.example/schema.json" };
const fake = {
  name: "math",
  tools: ["add", "free", "fetching", "hidden"],
  schemas: { add: counted, free: { type: "object" }, fetching, hidden: counted },
};
const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
const state = [
  ...clientOf("ci", everything),
  ruleOf("no-hidden", { condition: { ignoreCase: false, targetPattern: "hidden" } }),
];
const bothScopes = [
  ["math", ""],
  ["all", "math__"],
] as const;

function openPlane() {
  const plane = createDataPlane([fake], state);
  const call = (name: string, args: unknown, revision: Revision = "2026-07-28", scope = "math") =>
    plane.ask("ci", "tools/call", { name, arguments: args }, scope, {}, { revision });
  const forwarded = () => plane.seen.filter((one) => one.includes("tools/call"));
  return { ...plane, call, forwarded };
}

test.each(["2025-11-25", "2026-07-28"] as const)(
  "PR-23: an agent of %s reads what is wrong as the tool's result",
  async (revision) => {
    const plane = openPlane();
    const reply = await plane.call("add", { count: "hunter2", more: 1 }, revision);
    const text = "Invalid arguments: /count must be integer; /more is not allowed";
    expect(JSON.parse(outcomeText(reply))).toEqual({
      content: [{ type: "text", text }],
      isError: true,
    });
    expect(plane.forwarded()).toEqual([]);
  },
);

test.each(["2024-11-05", "2025-03-26", "2025-06-18"] as const)(
  "PR-23: an agent of %s gets an error of the protocol",
  async (revision) => {
    const plane = openPlane();
    const { outcome } = await plane.call("add", {}, revision);
    const fault = { name: "invalid-params", message: "Invalid params: /count is required" };
    expect(outcome).toMatchObject({ kind: "fault", fault });
    expect(plane.forwarded()).toEqual([]);
  },
);

test.each(["2025-06-18", "2026-07-28"] as const)(
  "PR-23: the refusal of an agent of %s is on record, in class B, with no intent",
  async (revision) => {
    const plane = openPlane();
    await plane.call("add", { count: "5" }, revision);
    expect(plane.records.map(({ event }) => event)).toEqual(["call.outcome"]);
    const [record] = plane.records;
    expect(record?.class).toBe("B");
    expect(record?.level).toBe("synced");
    expect(record?.facts).toMatchObject({ tool: "add", reason: "arguments-invalid" });
  },
);

test("PR-23: what the schema allows goes on, in class A as ever", async () => {
  for (const [scope, prefix] of bothScopes) {
    const plane = openPlane();
    await plane.call(`${prefix}add`, { count: 5 }, "2026-07-28", scope);
    await plane.call(`${prefix}free`, { any: ["thing"] }, "2026-07-28", scope);
    expect(plane.forwarded()).toEqual(["math tools/call add", "math tools/call free"]);
    expect(plane.records.every((record) => record.class === "A")).toBe(true);
    expect(plane.records.every(({ facts }) => facts.reason === undefined)).toBe(true);
  }
});

test("PR-23: policy speaks before the schema does", async () => {
  const reply = await openPlane().call("hidden", { count: "5" });
  expect(outcomeText(reply)).toContain("Unknown tool: hidden");
});

test("PR-22: a tool whose schema cannot be used is in no list, and unknown by name", async () => {
  for (const [scope, prefix] of bothScopes) {
    const plane = openPlane();
    const list = JSON.parse(outcomeText(await plane.ask("ci", "tools/list", undefined, scope)));
    const names = list.tools.map((tool: { name: string }) => tool.name);
    expect(names).toEqual([`${prefix}add`, `${prefix}free`]);
    const rejected = await plane.call(`${prefix}fetching`, {}, "2026-07-28", scope);
    const unknown = await plane.call(`${prefix}absent`, {}, "2026-07-28", scope);
    expect(outcomeText(rejected)).toBe(outcomeText(unknown).replace("absent", "fetching"));
    expect(plane.forwarded()).toEqual([]);
    const reasons = plane.records.map(({ facts }) => facts.reason);
    expect(reasons).toContain("schema-rejected");
  }
});

test("S03: switched off, every call goes on and every tool is listed", async () => {
  const plane = createDataPlane([fake], state, undefined, { argumentCheck: undefined });
  for (const name of ["add", "fetching"]) {
    await plane.ask("ci", "tools/call", { name, arguments: { count: "5" } }, "math");
  }
  expect(plane.seen.filter((one) => one.includes("tools/call")).length).toBe(2);
  const list = JSON.parse(outcomeText(await plane.ask("ci", "tools/list", undefined, "math")));
  expect(list.tools.length).toBe(3);
});

test("PR-23: where what is remembered is old, the server is asked before anybody is refused", async () => {
  const schemas = { old: '{"required":["a"]}', new: "{}" };
  const run = async (isFresh: boolean, answers: boolean) => {
    let known = schemas.old;
    let listed = 0;
    const stage = createValidateStage({
      servers: {
        knowsTool: () => isFresh || undefined,
        inputSchema: () => known,
        async tools() {
          listed += 1;
          if (!answers) throw new Error("cannot be asked");
          known = schemas.new;
          return new Map();
        },
      },
      argumentCheck: createArgumentCheck(),
      clock: systemClock,
      log: silentLog,
      metrics: createMetrics(),
    });
    const params = readObject('{"name":"t","arguments":{}}');
    const x = {
      request: { method: "tools/call", params, envelope: { clientCapabilitiesText: "{}" } },
      method: { method: "tools/call" },
      resolved: { server: "s", name: "t" },
      incoming: { revision: "2026-07-28" },
    } as unknown as Exchange;
    return [(await stage.enter?.(x))?.kind, x.argumentsInvalid, listed];
  };
  expect(await run(true, true)).toEqual(["answer", true, 0]);
  expect(await run(false, true)).toEqual(["proceed", false, 1]);
  expect(await run(false, false)).toEqual(["answer", true, 1]);
});

test("PR-22: a list of many large schemas holds nobody else up", async () => {
  const anyOf = Array.from({ length: 998 }, () => ({}));
  const tools = Array.from({ length: 200 }, (_, at) => `t${at}`);
  const schemas = Object.fromEntries(tools.map((name) => [name, { title: name, anyOf }]));
  const plane = createDataPlane([{ name: "huge", tools, schemas }], state);
  let isDone = false;
  let turns = 0;
  const count = () => {
    turns += 1;
    if (!isDone) setTimeout(count, 0);
  };
  const listing = plane.ask("ci", "tools/list", undefined, "huge");
  setTimeout(count, 0);
  const list = JSON.parse(outcomeText(await listing));
  isDone = true;
  expect(list.tools.length).toBe(200);
  expect(turns).toBeGreaterThan(2);
});
