/** PR-13 through the pipeline: who is refused for which header, and which tools an agent over HTTP is shown. */
import { expect, test } from "bun:test";
import { clientOf, createDataPlane, outcomeText, ruleOf } from "../../../support/data-plane.ts";

const region = { type: "string", "x-mcp-header": "Region" };
const weather = {
  name: "weather",
  tools: ["now", "plain", "odd", "hidden"],
  schemas: {
    now: { type: "object", properties: { region } },
    hidden: { type: "object", properties: { region } },
    odd: { type: "object", properties: { list: { type: "array", items: region } } },
  },
};
const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
const state = [
  ...clientOf("ci", everything),
  ruleOf("no-hidden", { condition: { ignoreCase: false, targetPattern: "hidden" } }),
];
const over = (headers: Record<string, string>) => ({ mirrored: new Headers(headers) });

async function call(name: string, headers: Record<string, string> | undefined) {
  const plane = createDataPlane([weather], state);
  const params = { name, arguments: { region: "eu" } };
  const more = headers === undefined ? {} : over(headers);
  const reply = await plane.ask("ci", "tools/call", params, "weather", {}, more);
  const { outcome } = reply;
  return { fault: outcome.kind === "fault" ? outcome.fault : undefined, seen: plane.seen };
}

test.each([
  ["now", { "Mcp-Param-Region": "eu" }, undefined],
  ["now", { "mcp-param-region": "us" }, "Mcp-Param-region"],
  ["now", {}, "Mcp-Param-region"],
  ["plain", { "Mcp-Param-Other": "x" }, undefined],
  ["now", undefined, undefined],
])("PR-13: %s with %j", async (name, headers, mismatch) => {
  const { fault, seen } = await call(name, headers);
  expect(fault?.name).toBe(mismatch === undefined ? undefined : "header-mismatch");
  if (mismatch !== undefined) expect(fault?.data).toEqual({ mismatch });
  expect(seen.some((one) => one.includes("tools/call"))).toBe(mismatch === undefined);
});

test("PR-13: policy speaks before the headers do", async () => {
  expect((await call("hidden", {}))?.fault?.name).toBe("target-hidden");
});

test("PR-13: a tool with an invalid annotation is not shown over modern HTTP, and is elsewhere", async () => {
  const plane = createDataPlane([weather], state);
  for (const scope of ["weather", "all"]) {
    const shown = async (more: object) =>
      JSON.parse(
        outcomeText(await plane.ask("ci", "tools/list", undefined, scope, {}, more)),
      ).tools.map((tool: { name: string }) => tool.name.replace("weather__", ""));
    expect(await shown(over({}))).toEqual(["now", "plain"]);
    expect(await shown({})).toEqual(["now", "plain", "odd"]);
  }
});
