/** Which servers are asked for skills at all, and what of skills is withheld, with servers that are plain values. */
import { describe, expect, test } from "bun:test";
import { objectText, readObject } from "../../../src/protocol/json-view.ts";
import {
  clientOf,
  createDataPlane,
  type FakeServer,
  outcomeText,
} from "../../support/data-plane.ts";

const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
const extension = "io.modelcontextprotocol/skills";
const methods = ["skills/list", "skills/get", "resources/directory/read"];

function planeOf(more: Partial<FakeServer>, result: object = {}) {
  const answer = () => ({ kind: "result" as const, result: readObject(JSON.stringify(result)) });
  return createDataPlane([{ name: "s", answer, ...more }], clientOf("ci", everything));
}

const offering = (settings: object) =>
  JSON.stringify({ resources: {}, extensions: { [extension]: settings } });

describe("only what a server announces is asked of it, whatever it would answer", () => {
  test.each([
    ['{"resources":{}}', []],
    [`{"resources":{},"instructions":"${extension}","extensions":{}}`, []],
    [offering({}), ["skills/list", "skills/get"]],
    [offering({ directoryRead: false }), ["skills/list", "skills/get"]],
    [offering({ directoryRead: true }), methods],
  ])("%s", async (capabilitiesText, asked) => {
    const plane = planeOf({ capabilitiesText });
    const answered: string[] = [];
    for (const method of methods) {
      const { outcome } = await plane.ask("ci", method, { uri: "skill://a/SKILL.md" }, "s");
      if (outcome.kind === "result") answered.push(method);
      else expect(outcome).toMatchObject({ fault: { name: "method-not-found" } });
    }
    expect(answered).toEqual([...asked]);
    expect(plane.seen.map((one) => one.split(" ")[1])).toEqual([...asked]);
  });

  test("a server that cannot be asked is unreachable, not without skills", async () => {
    const plane = planeOf({ isDown: true, answer: () => undefined });
    const { outcome } = await plane.ask("ci", "skills/list", {}, "s");
    expect(outcome).toMatchObject({ fault: { name: "upstream-unreachable" } });
  });
});

describe("PV-07: nothing of a skill is masked", () => {
  const capabilitiesText = offering({});
  const skill = (name: string, more: object = {}) => ({
    uri: `skill://${name}/SKILL.md`,
    frontmatter: { name, ...more },
    _meta: { token: "the protocol's own" },
  });

  test("a list loses the entries that would change, and keeps the bytes of the others", async () => {
    const kept = [skill("a"), skill("d", { tokens: 512 })];
    const skills = [kept[0], skill("b", { metadata: { api_key: "x" } }), kept[1]];
    const plane = planeOf({ capabilitiesText }, { skills, nextCursor: "2" });
    const { outcome } = await plane.ask("ci", "skills/list", {}, "s");
    const text = JSON.stringify({ skills: kept, nextCursor: "2" });
    expect(outcome.kind === "result" && objectText(outcome.result)).toBe(text);
    expect(plane.records.at(-1)?.facts).toMatchObject({ redactions: 1, status: "success" });
  });

  test("a secret beside the entries withholds the whole list", async () => {
    const plane = planeOf({ capabilitiesText }, { skills: [skill("a")], password: "x" });
    const { outcome } = await plane.ask("ci", "skills/list", {}, "s");
    expect(outcome).toMatchObject({ fault: { reason: "skill-withheld" } });
  });

  test.each([
    ["skill://a/x.json", false],
    ["SKILL://a/x.json", false],
    ["repo://a/x.json", true],
    ["file:///skill:/x.json", true],
  ])("%s: masked is %p", async (uri, isMasked) => {
    const contents = [{ uri, text: '{"password": "x"}' }];
    const plane = planeOf({ capabilitiesText }, { contents });
    const text = outcomeText(await plane.ask("ci", "resources/read", { uri }, "s"));
    expect(text.includes("[redacted]")).toBe(isMasked);
    expect(text.includes("The skill was withheld")).toBe(!isMasked);
  });
});
