/** Names too long to be exposed: listed cut, called by the cut name, also by a gateway that never listed them. */
import { describe, expect, test } from "bun:test";
import { createLongNames } from "../../../src/pipeline/long-names.ts";
import { joinName } from "../../../src/route/names.ts";
import type { Log } from "../../../src/telemetry/log.ts";
import { silentLog } from "../../../src/telemetry/log.ts";
import {
  clientOf,
  createDataPlane,
  type FakeServer,
  outcomeText,
  ruleOf,
  virtualOf,
} from "../../support/data-plane.ts";

const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
const long = "export_the_quarterly_report_with_all_its_appendices_as_a_signed_";
const [pdf, csv] = [`${long}pdf`, `${long}csv`];
/** Whole, and yet of the form of a cut name. */
const dated = `${"d".repeat(51)}_20260721`;
const office: FakeServer = { name: "of", tools: ["add", pdf, csv, dated], prompts: [pdf] };
const calc: FakeServer = { name: "calc", tools: ["add"] };
const state = [
  ...clientOf("ci", everything),
  ...clientOf("some", { allowedTools: [`of__${csv}`, "calc__*"] }),
  virtualOf("desk", { tools: [{ server: "of", name: pdf }] }),
];
const planeOf = () => createDataPlane([office, calc], state);

describe("long names", () => {
  test("every listed name fits into 64 characters and calls its own tool", async () => {
    const plane = planeOf();
    const { tools } = JSON.parse(outcomeText(await plane.ask("ci", "tools/list")));
    const names: string[] = tools.map((tool: { name: string }) => tool.name);
    expect(names).toEqual(["calc__add", "of__add", ...[pdf, csv, dated].map(shown)]);
    for (const name of names) {
      expect(name.length).toBeLessThanOrEqual(64);
      expect((await plane.ask("ci", "tools/call", { name })).outcome.kind).toBe("result");
    }
    expect(plane.seen.filter((one) => one.includes("tools/call"))).toEqual([
      "calc tools/call add",
      "of tools/call add",
      `of tools/call ${pdf}`,
      `of tools/call ${csv}`,
      `of tools/call ${dated}`,
    ]);
  });

  test("a gateway that never listed them looks them up, in the server that may have them", async () => {
    for (const [method, name] of [
      ["tools/call", pdf],
      ["tools/call", dated],
      ["prompts/get", pdf],
    ] as const) {
      const plane = planeOf();
      const reply = await plane.ask("ci", method, { name: shown(name) });
      expect(reply.outcome.kind).toBe("result");
      expect(plane.seen.at(-1)).toBe(`of ${method} ${name}`);
      expect(plane.seen.some((one) => one.startsWith("calc"))).toBe(false);
    }
  });

  test("what was looked up is remembered; what nobody has is unknown", async () => {
    const plane = planeOf();
    for (let times = 0; times < 2; times += 1) {
      await plane.ask("ci", "prompts/get", { name: shown(pdf) });
    }
    expect(plane.seen).toEqual([
      "of prompts/list",
      `of prompts/get ${pdf}`,
      `of prompts/get ${pdf}`,
    ]);
    const missing = await plane.ask("ci", "tools/call", { name: `${shown(pdf).slice(0, -1)}x` });
    expect(missing.outcome).toMatchObject({ fault: { name: "target-hidden" } });
    const whole = await plane.ask("ci", "tools/call", { name: `of__${pdf}` });
    expect(whole.outcome).toMatchObject({ fault: { name: "target-hidden" } });
  });

  test("P23: policy decides on the whole name, in lists and calls", async () => {
    const plane = createDataPlane(
      [office, calc],
      [...state, ruleOf("no-pdf", { condition: { ignoreCase: false, targetPattern: ".*_pdf" } })],
    );
    const listed = outcomeText(await plane.ask("ci", "tools/list"));
    expect([listed.includes(shown(pdf)), listed.includes(shown(csv))]).toEqual([false, true]);
    const denied = await plane.ask("ci", "tools/call", { name: shown(pdf) });
    expect(denied.outcome).toMatchObject({ fault: { name: "target-hidden" } });
    const some = outcomeText(await planeOf().ask("some", "tools/list"));
    expect([some.includes(shown(pdf)), some.includes(shown(csv))]).toEqual([false, true]);
  });

  test("a virtual server knows its own members without asking", async () => {
    const plane = planeOf();
    const reply = await plane.ask("ci", "tools/call", { name: shown(pdf) }, "desk");
    expect(reply.outcome.kind).toBe("result");
    expect(outcomeText(await plane.ask("ci", "tools/list", undefined, "desk"))).toContain(
      shown(pdf),
    );
  });

  test("a server's own scope never cuts", async () => {
    const listed = outcomeText(await planeOf().ask("ci", "tools/list", undefined, "of"));
    expect(listed).toContain(`"${pdf}"`);
  });

  test("PR-27: of two names exposed alike the first in order has the name, said once", async () => {
    const first = shown(pdf).slice("of__".length);
    const twins = { ...office, tools: [pdf, first] };
    const [winner] = [pdf, first].sort();
    for (const tools of [twins.tools, twins.tools.toReversed()]) {
      const plane = createDataPlane([{ ...twins, tools }, calc], state);
      const { tools: listed } = JSON.parse(outcomeText(await plane.ask("ci", "tools/list")));
      expect(listed).toEqual([{ name: "calc__add" }, { name: shown(pdf) }]);
      await plane.ask("ci", "tools/call", { name: shown(pdf) });
      expect(plane.seen.at(-1)).toBe(`of tools/call ${winner}`);
    }
    const said: string[] = [];
    const log: Log = { ...silentLog, warn: (event) => void said.push(event) };
    const servers = { get: () => undefined } as never;
    const names = createLongNames({ servers, log });
    for (const name of [pdf, first, pdf, first]) names.learn("tool", { server: "of", name });
    expect(said).toEqual(["name-collision"]);
    expect(names.find("tool", shown(pdf))?.name).toBe(winner ?? "");
  });
});

function shown(name: string): string {
  return joinName("of", name);
}
