/** Group PR of the catalogue: input schemas that cannot be used, and arguments that violate those that can. */
import { expect } from "bun:test";
import { until } from "../../../support/deadline.ts";
import type { Row, Stage } from "../../../support/fault-suite.ts";
import { allRecords } from "../../../support/operator.ts";
import type { Script } from "../../../support/scripted-server.ts";
import {
  callText,
  eraOf,
  requestText,
  type Transport,
  transports,
} from "../../../support/wires.ts";

const text = { type: "string" };

/** Each is out of every list. */
const unusable: Readonly<Record<string, object>> = {
  "network-ref": { type: "object", properties: { text: { $ref: "http://127.0.0.1:9/s.json" } } },
  "ref-to-nowhere": { type: "object", $ref: "#/$defs/none" },
  "many-subschemas": { type: "object", anyOf: Array.from({ length: 10_000 }, () => ({})) },
  "unknown-dialect": { type: "object", $schema: "http://json-schema.org/draft-04/schema#" },
  "no-schema": { type: "object", properties: { text: "string" } },
};

/** Each is odd, and holds arguments to what it says, soon. */
const usable: Readonly<Record<string, object>> = {
  "catastrophic-pattern": { type: "object", properties: { text: { pattern: "^(a+)+$" } } },
  recursive: { type: "object", properties: { text, next: { $ref: "#" } } },
  strict: {
    type: "object",
    properties: { text, count: { type: "integer" } },
    required: ["text"],
    additionalProperties: false,
  },
};

export const schemasOfTools = { ...unusable, ...usable };

const echo: Script = (id) =>
  Response.json({
    jsonrpc: "2.0",
    id,
    result: { resultType: "complete", content: [{ type: "text", text: "was here" }] },
  });
export const schemaScripts: Readonly<Record<string, Script>> = Object.fromEntries(
  Object.keys(schemasOfTools).map((name) => [name, echo]),
);

const call = (transport: Transport, name: string, args: object) =>
  requestText(eraOf(transport), "tools/call", { name, arguments: args });

/** Sends one call and says what came back, and whether the server saw it. */
async function send(stage: Stage, transport: Transport, name: string, args: object) {
  await using wire = await stage.open(transport);
  const seenBefore = stage.upstream.seen.length;
  const answer = await wire.send(call(transport, name, args));
  const received = stage.upstream.seen.slice(seenBefore).map(({ body }) => body);
  return { ...answer, received };
}

/** How many calls of a tool are on record as refused for their arguments. */
async function refusalsOf(stage: Stage, tool: string): Promise<number> {
  const records = await allRecords(stage.admin, { event: "call.outcome" });
  const all = records.map((record) => JSON.parse(record.envelope_json));
  const own = all.filter(
    ({ facts }) => facts.tool === tool && facts.reason === "arguments-invalid",
  );
  return own.length;
}

export const schemaRows: readonly Row[] = [
  {
    id: "PR-22",
    title: "a tool whose schema cannot be used is in no list, and unknown by name",
    transports,
    async run(stage, transport) {
      await using wire = await stage.open(transport);
      const list = await wire.send(requestText(eraOf(transport), "tools/list"));
      for (const name of Object.keys(usable)) expect(list.text).toContain(`"${name}"`);
      for (const name of Object.keys(unusable)) expect(list.text).not.toContain(`"${name}"`);
      const unknown = await wire.send(callText(eraOf(transport), { name: "absent" }));
      for (const name of Object.keys(unusable)) {
        const refused = await wire.send(callText(eraOf(transport), { name }));
        expect([name, refused.code]).toEqual([name, -32602]);
        expect(refused.text).toBe(unknown.text.replaceAll("absent", name));
      }
      const warned = stage.gateway.stdout().match(/tool\.schema-rejected/g) ?? [];
      expect(warned.length).toBe(Object.keys(unusable).length);
    },
  },
  {
    id: "PR-22",
    title: "a catastrophic pattern and a recursive schema check arguments, and soon",
    transports,
    reachesServer: true,
    async run(stage, transport) {
      const nest = (depth: number, end: object): object =>
        depth === 0 ? end : { next: nest(depth - 1, end) };
      const began = performance.now();
      const catastrophic = { text: `${"a".repeat(5_000)}!` };
      const refused = [
        await send(stage, transport, "catastrophic-pattern", catastrophic),
        await send(stage, transport, "recursive", nest(30, { text: 1 })),
      ];
      for (const { received } of refused) expect(received).toEqual([]);
      const allowed = [
        await send(stage, transport, "catastrophic-pattern", { text: "a".repeat(5_000) }),
        await send(stage, transport, "recursive", nest(30, { text: "1" })),
      ];
      for (const answer of allowed) expect(answer.text).toContain("was here");
      expect(performance.now() - began).toBeLessThan(10_000);
    },
  },
  {
    id: "PR-23",
    title:
      "arguments that violate the schema never reach the server, and the answer says what is wrong",
    transports,
    async run(stage, transport) {
      const recordedBefore = await refusalsOf(stage, "strict");
      const wrong: readonly (readonly [string, object])[] = [
        ["/text is required", {}],
        ["/text must be string", { text: 7 }],
        ["/count must be integer", { text: "x", count: "7" }],
        ["/count must be integer", { text: "x", count: 7.5 }],
        ["/other is not allowed", { text: "x", other: "hunter2-never-logged" }],
      ];
      for (const [told, args] of wrong) {
        const { text: body, received } = await send(stage, transport, "strict", args);
        expect(body).toContain(`Invalid arguments: ${told}`);
        expect(body).toContain('"isError":true');
        expect(body).not.toContain("hunter2");
        expect(received).toEqual([]);
      }
      await until("their records", async () => {
        const recorded = await refusalsOf(stage, "strict");
        return recorded === recordedBefore + wrong.length;
      });
    },
  },
  {
    id: "PR-23",
    title: "arguments the schema allows reach the server as they were written",
    transports,
    reachesServer: true,
    async run(stage, transport) {
      await using wire = await stage.open(transport);
      const written = '{ "count" :7.0, "text":"\\u0061" }';
      const good = call(transport, "strict", { placeholder: 1 });
      const answer = await wire.send(good.replace('{"placeholder":1}', written));
      expect(answer.text).toContain("was here");
      expect(stage.upstream.seen.at(-1)?.body).toContain(written);
    },
  },
];
