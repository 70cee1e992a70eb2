import { describe, expect, test } from "bun:test";
import {
  exposedCharsMax,
  exposeName,
  joinName,
  looksShortened,
  mayExpose,
  resolveName,
  serversOf,
} from "../../../src/route/names.ts";
import type { ServerSpec } from "../../../src/servers/spec.ts";
import type { Scope } from "../../../src/state/snapshot.ts";

const spec = (name: string) => ({ name }) as ServerSpec;
const servers = new Map(["a", "a-b", "calc"].map((name) => [name, spec(name)]));
const noNames = { find: () => undefined };
const all: Scope = { kind: "all", name: "all" };
const own: Scope = { kind: "server", name: "calc", server: spec("calc") };
const virtual: Scope = {
  kind: "virtual",
  name: "desk",
  virtual: {
    name: "desk",
    description: "",
    enabled: true,
    tools: [
      { server: "calc", name: "add", exposedName: "plus" },
      { server: "a", name: "b__c", exposedName: undefined },
      { server: "gone", name: "x", exposedName: undefined },
    ],
    prompts: [],
    resources: [{ server: "a", uriPattern: "note://*" }],
  },
};

describe("names", () => {
  test.each([
    [all, "calc__add", { server: "calc", name: "add" }],
    [all, "a__b__c", { server: "a", name: "b__c" }],
    [all, "a-b__c", { server: "a-b", name: "c" }],
    [all, "nowhere__add", undefined],
    [all, "add", undefined],
    [all, "__add", undefined],
    [own, "add", { server: "calc", name: "add" }],
    [virtual, "plus", { server: "calc", name: "add" }],
    [virtual, "a__b__c", { server: "a", name: "b__c" }],
    [virtual, "calc__add", undefined],
    [virtual, "gone__x", undefined],
  ] as const)("PR-27: in scope %j the name %s resolves", (scope, exposed, expected) => {
    expect(resolveName(scope, "tool", exposed, servers, noNames)).toEqual(expected);
  });

  test("PR-27: what is exposed resolves back to the same target", () => {
    for (const scope of [all, own, virtual]) {
      for (const [server, name] of [
        ["calc", "add"],
        ["a", "b__c"],
      ] as const) {
        if (scope === own && server !== "calc") continue;
        const exposed = exposeName(scope, "tool", server, name) ?? "";
        expect(resolveName(scope, "tool", exposed, servers, noNames)).toEqual({ server, name });
      }
    }
  });

  test("R07: a scope draws on its registered servers, in a stable order", () => {
    expect(serversOf(all, servers)).toEqual(["a", "a-b", "calc"]);
    expect(serversOf(own, servers)).toEqual(["calc"]);
    expect(serversOf(virtual, servers)).toEqual(["a", "calc"]);
  });

  test.each([
    ["calc", "x".repeat(58)],
    ["calc", "x".repeat(59)],
    ["calc", "x".repeat(500)],
    ["s".repeat(63), "add"],
    ["calc", "ü.é/\u{1f600} ".repeat(20)],
  ])("names of %s and a tool of any length fit, and stay the same", (server, name) => {
    const exposed = joinName(server, name);
    expect(exposed.length).toBeLessThanOrEqual(exposedCharsMax);
    expect(joinName(server, name)).toBe(exposed);
    const isWhole = server.length + 2 + name.length <= exposedCharsMax;
    expect(exposed === `${server}__${name}`).toBe(isWhole);
    if (isWhole) return;
    expect(exposed).toMatch(/^[A-Za-z0-9_.-]{55}_[0-9a-f]{8}$/);
    expect([looksShortened(exposed), mayExpose(server, exposed)]).toEqual([true, true]);
    expect(mayExpose("other", exposed)).toBe(false);
  });

  test("PR-27: long names that differ at the end alone stay apart", () => {
    const long = "x".repeat(100);
    expect(joinName("calc", `${long}1`)).not.toBe(joinName("calc", `${long}2`));
  });

  test("PR-27: a cut name resolves by what was learnt, never by its parts", () => {
    const name = "x".repeat(100);
    const exposed = joinName("calc", name);
    const found = { find: () => ({ server: "calc", name }) };
    const gone = { find: () => ({ server: "gone", name }) };
    expect(resolveName(all, "tool", exposed, servers, found)).toEqual({ server: "calc", name });
    expect(resolveName(all, "tool", exposed, servers, gone)).toBeUndefined();
    expect(resolveName(all, "tool", exposed, servers, noNames)).toBeUndefined();
    expect(resolveName(all, "tool", `calc__${name}`, servers, found)).toBeUndefined();
  });
});
