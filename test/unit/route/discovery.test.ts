import { describe, expect, test } from "bun:test";
import { objectText } from "../../../src/protocol/json-view.ts";
import { mergeDiscovery, type ServerSelf } from "../../../src/route/discovery.ts";
import type { ServerSpec } from "../../../src/servers/spec.ts";
import type { Scope } from "../../../src/state/snapshot.ts";

const all: Scope = { kind: "all", name: "all" };
const own: Scope = { kind: "server", name: "a", server: { name: "a" } as ServerSpec };
const ui = "io.modelcontextprotocol/ui";
const tasks = "io.modelcontextprotocol/tasks";
const skills = "io.modelcontextprotocol/skills";

function discover(scope: Scope, ...parts: readonly (object | [object, string])[]) {
  const selves = parts.map((part, index): ServerSelf => {
    const [capabilities, instructions] = Array.isArray(part) ? part : [part, undefined];
    const capabilitiesText = JSON.stringify(capabilities);
    return { server: "ab"[index] ?? "c", capabilitiesText, instructions };
  });
  return JSON.parse(objectText(mergeDiscovery(scope, selves, { name: "gateway", version: "1" })));
}

describe("discovery", () => {
  test("several servers: the union of what they can do, with their instructions", () => {
    const merged = discover(
      all,
      [{ tools: {}, resources: { subscribe: false }, logging: {}, tasks: { list: {} } }, "Use a."],
      { prompts: {}, resources: { subscribe: true }, completions: {}, experimental: { x: {} } },
    );
    expect(merged).toEqual({
      resultType: "complete",
      supportedVersions: ["2026-07-28"],
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        completions: {},
        logging: {},
      },
      instructions: "# a\nUse a.",
      ttlMs: 1_000,
      cacheScope: "private",
      _meta: { "io.modelcontextprotocol/serverInfo": { name: "gateway", version: "1" } },
    });
  });

  test("no server can be asked: tools, which may come", () => {
    expect(discover(all).capabilities).toEqual({ tools: { listChanged: true } });
  });

  test("nothing that only one server has is claimed for all", () => {
    const { capabilities } = discover(
      all,
      { resources: {} },
      { extensions: { [ui]: {}, [skills]: {} } },
    );
    expect(capabilities).toEqual({
      tools: { listChanged: true },
      resources: { listChanged: true },
    });
  });

  test("tasks are announced where any server of the scope has them", () => {
    const { capabilities } = discover(all, {}, { extensions: { [tasks]: { later: 1 } } });
    expect(capabilities.extensions).toEqual({ [tasks]: {} });
  });

  test("a server's own scope says what its server says, of extensions what is carried", () => {
    const said = {
      tools: { listChanged: false, later: 1 },
      resources: { subscribe: true },
      experimental: { x: { y: 1 } },
      extensions: {
        [ui]: { mimeTypes: ["text/html"] },
        [tasks]: {},
        [skills]: { directoryRead: true },
        "x/y": {},
      },
      tasks: {},
      prompts: true,
    };
    const { capabilities, instructions } = discover(own, [said, "Use a."]);
    expect(capabilities).toEqual({
      tools: { listChanged: true, later: 1 },
      resources: { subscribe: true, listChanged: true },
      experimental: { x: { y: 1 } },
      extensions: {
        [ui]: { mimeTypes: ["text/html"] },
        [tasks]: {},
        [skills]: { directoryRead: true },
      },
    });
    expect(instructions).toBe("Use a.");
  });
});
