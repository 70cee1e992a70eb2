/**
 * The main job: official SDK clients of both lines, over every transport, list and call real servers through the
 * compiled executable, allowed or refused by a policy set over gRPC; and what the audit log says of each call.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../support/deadline.ts";
import { type FakeServer, startHttpV1, startHttpV2 } from "../support/fake-servers/network.ts";
import { modernCall } from "../support/modern-agent.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { type PagedServer, startPagedServer } from "../support/paged-server.ts";
import { type SampleGateway, startSampleGateway } from "../support/sample-gateway.ts";
import { type AgentKind, agentKinds } from "../support/sdk-agents.ts";

let sample: SampleGateway;
let paged: PagedServer;
let older: FakeServer;
let newer: FakeServer;
/** May use the calculator but for one tool that a rule denies, and what of the notes only reads. */
let token = "";

const grants = {
  allowed_tools: ["calculator__*", "notes__search_notes", "notes__secret_note", "paged__blue"],
  allowed_resources: ["note://notes/w*", "note://notes/{name}"],
  allowed_prompts: ["notes__*", "paged__*"],
};

beforeAll(async () => {
  sample = await startSampleGateway();
  paged = startPagedServer();
  older = await startHttpV1();
  newer = await startHttpV2();
  const { admin } = sample;
  await registerHttpServer(admin, "paged", paged.url);
  await registerHttpServer(admin, "older", older.url);
  await registerHttpServer(admin, "newer", newer.url);
  await admin.call("ServerService", "CreateVirtualServer", {
    virtual_server: {
      name: "desk",
      enabled: true,
      tools: [
        // As long as its own name on purpose: a rename must not be told by its length.
        { server: "calculator", name: "add", exposed_name: "sum" },
        { server: "notes", name: "search_notes" },
        { server: "notes", name: "delete_note" },
      ],
      resources: [{ server: "notes", uri_pattern: "note://notes/*" }],
    },
  });
  await admin.call("PolicyService", "CreateRule", {
    rule: {
      name: "no-statistics",
      effect: "RULE_EFFECT_DENY",
      enabled: true,
      condition: { server: "calculator", target_pattern: "exact_stat.*" },
    },
  });
  token = await registerClient(admin, "analyst", grants);
});

afterAll(async () => {
  await sample[Symbol.asyncDispose]();
  await paged[Symbol.asyncDispose]();
  await older.stop();
  await newer.stop();
});

const connect = (kind: AgentKind, scope?: string) =>
  kind.connect({ base: sample.gateway.agents, scope, token });

const names = (listed: readonly { readonly name: string }[]) => listed.map(({ name }) => name);

const calculations = [
  "add",
  "exact_calculate",
  "exact_convert_units",
  "exact_statistics",
  "exact_unit_arithmetic",
];
const allowedCalculations = calculations.filter((name) => name !== "exact_statistics");

for (const kind of agentKinds) {
  describe(kind.name, () => {
    test("lists and calls in the merged scope: both servers, exactly what is allowed", async () => {
      await using agent = await connect(kind);
      expect(names(await agent.listTools()).sort()).toEqual(
        [
          ...allowedCalculations.map((name) => `calculator__${name}`),
          "notes__search_notes",
          "notes__secret_note",
          "paged__blue",
        ].sort(),
      );
      expect(await agent.callTool("calculator__add", { a: 0.1, b: 0.2 })).toMatchObject({
        structuredContent: { result: "0.3" },
      });
      expect(await agent.callTool("notes__search_notes", { text: "apples" })).toMatchObject({
        structuredContent: { found: ["groceries"] },
      });
    });

    test("sees a server's own names in its own scope", async () => {
      await using agent = await connect(kind, "calculator");
      expect(names(await agent.listTools()).sort()).toEqual(allowedCalculations);
      const values = { operator: "mul", operands: ["1.1", "1.1"] };
      expect(await agent.callTool("exact_calculate", values)).toMatchObject({
        structuredContent: { result: "1.21" },
      });
    });

    test("sees a virtual server's names, within what policy allows", async () => {
      await using agent = await connect(kind, "desk");
      expect(names(await agent.listTools()).sort()).toEqual(["notes__search_notes", "sum"]);
      expect(await agent.callTool("sum", { a: 2, b: 2 })).toMatchObject({
        structuredContent: { result: "4" },
      });
      await refused(agent.callTool("notes__delete_note", { name: "welcome" }));
      await refused(agent.callTool("calculator__add", { a: 2, b: 2 }));
    });

    test("AZ-11 P23: what is not listed cannot be called, what is listed can", async () => {
      await using agent = await connect(kind);
      for (const hidden of [
        "notes__delete_note",
        "calculator__exact_statistics",
        "Calculator__add",
        "calculator__ADD",
        "calculator__",
        "add",
        "calculator__ａdd",
      ]) {
        await refused(agent.callTool(hidden, {}));
      }
      for (const name of names(await agent.listTools())) {
        const answer = await agent.callTool(name, {}).catch((error: Error) => error.message);
        expect(String(answer)).not.toContain("Unknown tool");
      }
    });

    test("reads resources and prompts that are allowed, and no others", async () => {
      await using agent = await connect(kind);
      expect((await agent.listResources()).map(({ uri }) => uri)).toEqual(["note://notes/welcome"]);
      expect(await agent.readResource("note://notes/welcome")).toMatchObject({
        contents: [{ uri: "note://notes/welcome", mimeType: "text/plain" }],
      });
      const templates = await agent.listResourceTemplates();
      expect(templates.map(({ uriTemplate }) => uriTemplate)).toEqual(["note://notes/{name}"]);
      await refused(agent.readResource("note://notes/groceries"), "Resource not found");
      await refused(agent.readResource("note://notes/nothing"), "Resource not found");
      expect(names(await agent.listPrompts())).toContain("notes__summarize_note");
      expect(await agent.getPrompt("notes__summarize_note", { name: "welcome" })).toMatchObject({
        messages: [{ role: "user" }],
      });
      await refused(agent.getPrompt("calculator__add"), "Unknown prompt");
    });

    test("gets every page of a server's list, and completions", async () => {
      await using agent = await connect(kind, "paged");
      const colours = ["blue", "black", "brown", "green", "grey"];
      expect(names(await agent.listPrompts())).toEqual(colours);
      const argument = { name: "shade", value: "bl" };
      expect(await agent.completePrompt("green", argument)).toMatchObject({
        completion: { values: ["blue", "black"] },
      });
      await using merged = await connect(kind);
      expect(names(await merged.listPrompts()).sort()).toEqual(
        [...colours.map((name) => `paged__${name}`), "notes__summarize_note"].sort(),
      );
      expect(await merged.completePrompt("paged__green", argument)).toMatchObject({
        completion: { values: ["blue", "black"] },
      });
    });
  });
}

describe("while a call runs", () => {
  let free = "";
  beforeAll(async () => {
    const allowed = { allowed_tools: ["older__*", "newer__*"] };
    free = await registerClient(sample.admin, "patient", allowed);
  });

  for (const kind of agentKinds) {
    for (const server of ["older", "newer"] as const) {
      test(`T08 PR-19: ${kind.name} to the ${server} server: progress first, cancellation through`, async () => {
        const { behaviour } = server === "older" ? older : newer;
        const place = { base: sample.gateway.agents, scope: server, token: free };
        await using agent = await kind.connect(place);
        const events: (number | string)[] = [];
        const onprogress = ({ progress }: { readonly progress: number }) => {
          events.push(progress);
        };
        const held = agent.callTool("held", {}, { onprogress });
        // The server answers only once the agent has its progress: nothing waits for the end of the call.
        await until("both steps at the agent", () => events.length === 2);
        behaviour.release();
        await held;
        expect(events).toEqual([1, 2]);

        const before = behaviour.seen.filter((event) => event === "cancelled").length;
        const began = behaviour.seen.length;
        const cancel = new AbortController();
        const waiting = agent.callTool("wait", {}, { signal: cancel.signal }).then(
          () => "answered",
          () => "refused",
        );
        await until("the call at the server", () => behaviour.seen.length > began);
        cancel.abort();
        expect(await waiting).toBe("refused");
        await until(
          "the cancellation at the server",
          () => behaviour.seen.filter((event) => event === "cancelled").length === before + 1,
        );
      });
    }
  }

  test("PR-19: cancelled calls have an outcome that says so", async () => {
    const cancelled = await until("ten outcomes", async () => {
      const filter = { client: "patient", status: "cancelled", event: "call.outcome" };
      const found = await allRecords(sample.admin, filter);
      return found.length === agentKinds.length * 2 ? found : undefined;
    });
    expect(new Set(cancelled.map(({ tool }) => tool))).toEqual(new Set(["wait"]));
  });
});

describe("what is hidden", () => {
  /** The same call, made by name only; ids equal, so the bytes can be compared. */
  const ask = (name: string, scope = "all") =>
    modernCall({
      base: sample.gateway.agents,
      scope,
      token,
      method: "tools/call",
      params: { name, arguments: {} },
    });

  test("I-09 AZ-02: a forbidden tool and one that does not exist answer with the same bytes", async () => {
    const pairs = [
      ["all", "notes__delete_note", "notes__absent_note"],
      ["all", "calculator__exact_statistics", "calculator__exact_statistiks"],
      ["calculator", "exact_statistics", "exact_statistiks"],
      ["desk", "notes__delete_note", "notes__absent_note"],
    ] as const;
    for (const [scope, forbidden, absent] of pairs) {
      const [one, other] = [await ask(forbidden, scope), await ask(absent, scope)];
      expect(one.status).toBe(other.status);
      expect(one.text.replaceAll(forbidden, "NAME")).toBe(other.text.replaceAll(absent, "NAME"));
      expect([...one.headers.keys()].sort()).toEqual([...other.headers.keys()].sort());
      expect(one.error).toEqual({ code: -32602, message: `Unknown tool: ${forbidden}` });
    }
  });

  test("AZ-01 I-09: a forbidden scope and one that does not exist answer with the same bytes", async () => {
    const own = await registerClient(sample.admin, "adder", { allowed_tools: ["calculator__add"] });
    const asAdder = (scope: string) =>
      modernCall({ base: sample.gateway.agents, scope, token: own, method: "tools/list" });
    const [forbidden, absent] = [await asAdder("older"), await asAdder("elder")];
    expect([forbidden.status, forbidden.text]).toEqual([absent.status, absent.text]);
    expect(forbidden.status).toBe(404);
  });

  test("AZ-10: a hidden resource is hidden on every path", async () => {
    const read = await modernCall({
      base: sample.gateway.agents,
      token,
      method: "resources/read",
      params: { uri: "note://notes/groceries" },
    });
    const absent = await modernCall({
      base: sample.gateway.agents,
      token,
      method: "resources/read",
      params: { uri: "note://notes/graveries" },
    });
    expect(read.text.replaceAll("groceries", "X")).toBe(absent.text.replaceAll("graveries", "X"));
  });
});

describe("the record", () => {
  for (const kind of agentKinds) {
    test(`P07 I-02 I-03: of one allowed and one refused call by ${kind.name}`, async () => {
      const { admin, gateway } = sample;
      const client = `recorded-${agentKinds.indexOf(kind)}`;
      const own = await registerClient(admin, client, { allowed_tools: ["calculator__add"] });
      await using agent = await kind.connect({ base: gateway.agents, token: own });
      await agent.callTool("calculator__add", { a: 1, b: 2 });
      await refused(agent.callTool("notes__delete_note", { name: "welcome" }));

      const records = await until("three records", async () => {
        const all = await allRecords(admin, { client });
        const calls = all.filter(({ method }) => method === "tools/call");
        return calls.length >= 3 ? calls : undefined;
      });
      const common = { client, principal: `client:${client}`, scope: "all", method: "tools/call" };
      expect(records).toMatchObject([
        { ...common, event: "call.intent", server: "calculator", tool: "add", status: "" },
        { ...common, event: "call.outcome", server: "calculator", tool: "add", status: "success" },
        {
          ...common,
          event: "call.outcome",
          server: "notes",
          tool: "delete_note",
          status: "denied",
        },
      ]);
      const [intent, outcome, denial] = records.map((record) => ({
        ...record,
        facts: JSON.parse(record.envelope_json).facts,
      }));
      expect(records.map(({ durability }) => durability)).toEqual(["A", "A", "B"]);
      expect(records.map(({ decision }) => decision)).toEqual(["client", "client", "default"]);
      expect(outcome?.facts.intent).toBe(intent?.seq);
      expect(outcome?.correlation_id).toBe(intent?.correlation_id ?? "");
      expect(denial?.facts).toMatchObject({ error: "target-hidden", code: -32602 });
      for (const record of [intent, outcome, denial])
        expect(record?.facts.binding).toBe(kind.binding);
      // Bodies stay out of the log: their digests are in it.
      const text = JSON.stringify(records);
      expect(text).not.toContain('\\"a\\":1');
      expect(text).toContain("argumentsDigest");
    });
  }
});

/** Resolves when the call was refused with these words. */
async function refused(call: Promise<unknown>, words = "Unknown tool"): Promise<void> {
  const message = await call.then(
    (answer) => `answered ${JSON.stringify(answer)}`,
    (error: Error) => error.message,
  );
  expect(message).toContain(words);
}
