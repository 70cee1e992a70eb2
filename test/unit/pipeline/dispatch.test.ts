/** What the stages do together, in memory: policy on lists and calls, hiding, caching, partial failure, records. */
import { describe, expect, test } from "bun:test";
import { createFault } from "../../../src/errors/fault.ts";
import { readObject } from "../../../src/protocol/json-view.ts";
import {
  clientOf,
  createDataPlane,
  type FakeServer,
  outcomeText,
  roleOf,
  ruleOf,
  virtualOf,
} from "../../support/data-plane.ts";

const calc: FakeServer = {
  name: "calc",
  tools: ["add", "delete_all"],
  prompts: ["sum"],
  resources: ["note://calc"],
};
const notes: FakeServer = {
  name: "notes",
  tools: ["read", "delete"],
  prompts: ["brief", "secret"],
  resources: ["note://a", "note://b"],
};
const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };

describe("hiding", () => {
  const noDeletes = ruleOf("no-deletes", {
    condition: { ignoreCase: false, targetPattern: "delete.*|secret|note://b" },
  });
  const plane = createDataPlane([calc, notes], [...clientOf("ci", everything), noDeletes]);

  test.each([
    ["tools/call", { name: "notes__delete" }, { name: "notes__dilute" }],
    ["prompts/get", { name: "notes__secret" }, { name: "notes__sicrit" }],
    ["resources/read", { uri: "note://b" }, { uri: "note://x" }],
  ])(
    "I-09 AZ-02: %s of a denied target reads like one that does not exist",
    async (method, denied, missing) => {
      const one = outcomeText(await plane.ask("ci", method, denied));
      const other = outcomeText(await plane.ask("ci", method, missing));
      const given = Object.values(denied)[0] ?? "";
      const wanted = Object.values(missing)[0] ?? "";
      expect(one).toContain("target-hidden");
      expect(one.replaceAll(given, wanted)).toBe(other);
    },
  );

  test("AZ-11: denied targets are in no list, and no server saw a denied call", async () => {
    const tools = outcomeText(await plane.ask("ci", "tools/list"));
    expect(tools).toContain("notes__read");
    expect(tools).not.toContain("delete");
    expect(plane.seen.filter((one) => /delete|secret|note:\/\/b/.test(one))).toEqual([]);
  });

  test("AZ-01: a scope that does not exist and one with nothing to see are the same", async () => {
    const own = createDataPlane([calc, notes], clientOf("ci", { allowedTools: ["calc__*"] }));
    const hidden = await own.ask("ci", "tools/list", undefined, "notes");
    const missing = await own.ask("ci", "tools/list", undefined, "nowhere");
    expect(outcomeText(hidden)).toBe(outcomeText(missing));
    expect(hidden.outcome).toMatchObject({ kind: "fault", fault: { name: "scope-unknown" } });
  });
});

describe("P23: list and call agree", () => {
  test("for random policies, in every scope, a tool or resource is listed exactly when it can be used", async () => {
    let state = 7;
    const next = (below: number) => {
      state = (state * 48_271) % 2_147_483_647;
      return state % below;
    };
    const pick = <T>(from: readonly T[]) => from[next(from.length)] as T;
    const bundle = virtualOf("desk", {
      tools: [
        { server: "calc", name: "add", exposedName: "plus" },
        { server: "notes", name: "delete" },
      ],
      resources: [{ server: "notes", uriPattern: "note://*" }],
    });
    for (let round = 0; round < 150; round += 1) {
      const lists = {
        allowedTools: [[], ["*"], ["calc__*"], ["notes__read"], ["calc__add", "notes__delete"]][
          next(5)
        ],
        allowedResources: [[], ["*"], ["note://a"], ["note://*"]][next(4)],
        roles: next(2) === 0 ? ["r"] : [],
      };
      const permission = {
        resource: pick(["mcp:calc:*", "mcp:*:delete", "mcp:*:*", "mcp:notes:read"]),
        actions: [pick(["invoke_tool", "list_tools", "*", "read_resource"])],
      };
      const rule = ruleOf("no", {
        effect: pick(["deny", "allow"]),
        condition: {
          ignoreCase: next(2) === 0,
          targetPattern: pick(["delete.*", "DELETE", "add", "note://a", ".*"]),
          server: pick([undefined, "calc", "notes"]),
        },
      });
      const plane = createDataPlane(
        [calc, notes],
        [
          ...clientOf("ci", lists),
          roleOf("r", [permission]),
          bundle,
          ...(next(2) === 0 ? [rule] : []),
        ],
      );
      const scopes: readonly (readonly [string, readonly string[], readonly string[]])[] = [
        [
          "all",
          ["calc__add", "calc__delete_all", "notes__read", "notes__delete"],
          ["note://calc", "note://a", "note://b"],
        ],
        ["calc", ["add", "delete_all"], ["note://calc"]],
        ["desk", ["plus", "notes__delete"], ["note://a", "note://b"]],
      ];
      for (const [scope, tools, uris] of scopes) {
        const listed = outcomeText(await plane.ask("ci", "tools/list", undefined, scope));
        for (const name of tools) {
          const call = await plane.ask("ci", "tools/call", { name, arguments: {} }, scope);
          expect([scope, name, listed.includes(`"${name}"`)]).toEqual([
            scope,
            name,
            call.outcome.kind === "result",
          ]);
        }
        const shown = outcomeText(await plane.ask("ci", "resources/list", undefined, scope));
        for (const uri of uris) {
          const read = await plane.ask("ci", "resources/read", { uri }, scope);
          expect([scope, uri, shown.includes(`"${uri}"`)]).toEqual([
            scope,
            uri,
            read.outcome.kind === "result",
          ]);
        }
      }
    }
  });
});

describe("several servers", () => {
  test("R19: one server down never breaks the list of the others; all down says so", async () => {
    const plane = createDataPlane([calc, { ...notes, isDown: true }], clientOf("ci", everything));
    expect(outcomeText(await plane.ask("ci", "tools/list"))).toBe(
      '{"tools":[{"name":"calc__add"},{"name":"calc__delete_all"}],"ttlMs":0,"cacheScope":"private"}',
    );
    expect((await plane.ask("ci", "server/discover")).outcome.kind).toBe("result");
    const dark = createDataPlane([{ ...calc, isDown: true }], clientOf("ci", everything));
    expect((await dark.ask("ci", "tools/list")).outcome).toMatchObject({
      fault: { name: "upstream-unreachable" },
    });
  });

  test("PR-16: unknown methods, and cursors a joined list never gave", async () => {
    const plane = createDataPlane([calc, notes], clientOf("ci", everything));
    expect((await plane.ask("ci", "toString")).outcome).toMatchObject({
      fault: { name: "method-not-found" },
    });
    const paged = await plane.ask("ci", "tools/list", { cursor: "x" });
    expect(paged.outcome).toMatchObject({ fault: { name: "invalid-params" } });
  });
});

describe("cache", () => {
  const setting = (more: object) => [{ tool: "add", cacheTtlMs: 60_000, ...more }];
  const calls = (plane: { seen: string[] }) =>
    plane.seen.filter((one) => one === "calc tools/call add").length;
  const add = (n: number) => ({ name: "calc__add", arguments: { n } });

  test("CA-01 C04: a declared tool is kept for one principal, by its arguments", async () => {
    const plane = createDataPlane(
      [{ ...calc, settings: setting({}) }],
      [...clientOf("a", everything), ...clientOf("b", everything)],
    );
    for (const [who, n] of [
      ["a", 1],
      ["a", 1],
      ["b", 1],
      ["a", 2],
    ] as const)
      await plane.ask(who, "tools/call", add(n));
    expect(calls(plane)).toBe(3);
  });

  test("CA-01: it is shared only where the operator said so, and still decided for each", async () => {
    const plane = createDataPlane(
      [{ ...calc, settings: setting({ cachePublic: true }) }],
      [
        ...clientOf("a", everything),
        ...clientOf("b", everything),
        ...clientOf("c", { allowedTools: ["calc__delete_all"] }),
      ],
    );
    for (const who of ["a", "b", "a"]) await plane.ask(who, "tools/call", add(1));
    expect(calls(plane)).toBe(1);
    expect((await plane.ask("c", "tools/call", add(1))).outcome).toMatchObject({
      fault: { name: "target-hidden" },
    });
  });

  test("CA-06: errors and failed results are not kept", async () => {
    let turn = 0;
    const call = () => {
      turn += 1;
      const isError = turn === 1;
      return {
        kind: "result",
        result: readResult({ content: [], ...(isError ? { isError } : {}) }),
      } as const;
    };
    const plane = createDataPlane(
      [{ ...calc, settings: setting({}), call }],
      clientOf("a", everything),
    );
    for (let times = 0; times < 3; times += 1) await plane.ask("a", "tools/call", add(1));
    expect(calls(plane)).toBe(2);
  });

  test("a joined list belongs to who asked, whatever the servers declare", async () => {
    const lists = { listTtlMs: 60_000, listsPublic: true };
    const plane = createDataPlane(
      [
        { ...calc, ...lists },
        { ...notes, ...lists },
      ],
      [...clientOf("one", { allowedTools: ["calc__*"] }), ...clientOf("both", everything)],
    );
    expect(outcomeText(await plane.ask("one", "tools/list"))).not.toContain("notes__");
    expect(outcomeText(await plane.ask("both", "tools/list"))).toContain("notes__read");
    const before = plane.seen.length;
    await plane.ask("both", "tools/list");
    expect(plane.seen.length).toBe(before);
  });
});

describe("records", () => {
  const call = { name: "calc__add", arguments: {} };

  test("I-03: a call of an unvouched tool is class A: intent and outcome, both synced", async () => {
    const plane = createDataPlane([calc], clientOf("ci", everything));
    await plane.ask("ci", "tools/call", call);
    expect(plane.records.map(({ event, class: one, level }) => [event, one, level])).toEqual([
      ["call.intent", "A", "synced"],
      ["call.outcome", "A", "synced"],
    ]);
    expect(plane.records[1]?.facts).toMatchObject({
      intent: 1,
      status: "success",
      server: "calc",
      tool: "add",
    });
  });

  test("a vouched tool is class B, a list class C, a denial class B", async () => {
    const settings = [{ tool: "add", readOnly: true }];
    const plane = createDataPlane([{ ...calc, settings }], clientOf("ci", everything));
    await plane.ask("ci", "tools/call", call);
    await plane.ask("ci", "tools/list");
    await plane.ask("ci", "tools/call", { name: "calc__nothing" });
    expect(plane.records.map(({ event, class: one, level }) => [event, one, level])).toEqual([
      ["call.intent", "B", "written"],
      ["call.outcome", "B", "synced"],
      ["call.outcome", "C", "queued"],
      ["call.outcome", "B", "synced"],
    ]);
    expect(plane.records[3]?.facts).toMatchObject({ status: "denied" });
  });

  test("N06: records carry the server's data class, and classified data is class A whatever is vouched", async () => {
    const settings = [{ tool: "add", readOnly: true }];
    const classified = { ...calc, settings, dataClass: "PERSONAL" } as const;
    const plane = createDataPlane([classified], clientOf("ci", everything));
    await plane.ask("ci", "tools/call", call);
    expect(plane.records.map((record) => [record.class, record.facts.dataClass])).toEqual([
      ["A", "PERSONAL"],
      ["A", "PERSONAL"],
    ]);
  });

  test("I-03 ST-07: no intent, no call", async () => {
    const plane = createDataPlane([calc], clientOf("ci", everything));
    plane.failAudit("call.intent", "call.outcome");
    const reply = await plane.ask("ci", "tools/call", call);
    expect(reply.outcome).toMatchObject({ fault: { name: "audit-unavailable" } });
    expect(plane.seen).toEqual([]);
  });

  test("I-02: a server that is full after the intent still gets its call an outcome", async () => {
    const full = createFault("too-many-in-flight", "Server full");
    const busy: FakeServer = { ...calc, call: () => ({ kind: "fault", fault: full }) };
    const plane = createDataPlane([busy], clientOf("ci", everything));
    await plane.ask("ci", "tools/call", call);
    expect(plane.records.map(({ event, facts }) => [event, facts.intent, facts.status])).toEqual([
      ["call.intent", undefined, undefined],
      ["call.outcome", 1, "rate_limited"],
    ]);
  });

  test("I-02: a result whose record failed is withheld", async () => {
    const plane = createDataPlane([calc], clientOf("ci", everything));
    plane.failAudit("call.outcome");
    const reply = await plane.ask("ci", "tools/call", call);
    expect(reply.outcome).toMatchObject({ fault: { name: "outcome-unrecorded" } });
    expect(plane.seen).toEqual(["calc tools/call add"]);
  });

  test("AN-02 L12: an unknown token leaves one record however often it comes", async () => {
    const plane = createDataPlane([calc], []);
    for (let times = 0; times < 5; times += 1) {
      const reply = await plane.ask("nobody", "tools/call", call);
      expect(reply.outcome).toMatchObject({ fault: { name: "unauthenticated" } });
    }
    expect(plane.records.map((record) => record.event)).toEqual(["authn.failed"]);
  });
});

function readResult(value: object) {
  return readObject(JSON.stringify(value));
}
