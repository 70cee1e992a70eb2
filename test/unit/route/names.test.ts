import { describe, expect, test } from "bun:test";
import { exposeName, resolveName, serversOf } from "../../../src/route/names.ts";
import type { ServerSpec } from "../../../src/servers/spec.ts";
import type { Scope } from "../../../src/state/snapshot.ts";

const spec = (name: string) => ({ name }) as ServerSpec;
const servers = new Map(["a", "a-b", "calc"].map((name) => [name, spec(name)]));
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
    expect(resolveName(scope, "tool", exposed, servers)).toEqual(expected);
  });

  test("PR-27: what is exposed resolves back to the same target", () => {
    for (const scope of [all, own, virtual]) {
      for (const [server, name] of [
        ["calc", "add"],
        ["a", "b__c"],
      ] as const) {
        if (scope === own && server !== "calc") continue;
        const exposed = exposeName(scope, "tool", server, name) ?? "";
        expect(resolveName(scope, "tool", exposed, servers)).toEqual({ server, name });
      }
    }
  });

  test("R07: a scope draws on its registered servers, in a stable order", () => {
    expect(serversOf(all, servers)).toEqual(["a", "a-b", "calc"]);
    expect(serversOf(own, servers)).toEqual(["calc"]);
    expect(serversOf(virtual, servers)).toEqual(["a", "calc"]);
  });
});
