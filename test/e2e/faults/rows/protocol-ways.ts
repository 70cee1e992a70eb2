/** More of group PR: what a lost connection means in each era, and names on their way through every door. */
import { expect } from "bun:test";
import { until } from "../../../support/deadline.ts";
import type { Change, Row, Stage } from "../../../support/fault-suite.ts";
import { modernMeta, modernPost } from "../../../support/modern-agent.ts";
import { allRecords } from "../../../support/operator.ts";
import type { Script } from "../../../support/scripted-server.ts";
import {
  callText,
  converse,
  eraOf,
  mustOpenWire,
  requestText,
  type Transport,
  transports,
} from "../../../support/wires.ts";

const twoPartName = "b__c";

const floodCount = 400;
const floodStepMs = 3;

/** Progress as a server tells it, then the answer, then perhaps more. */
function progressing(
  steps: readonly (readonly [token: string | undefined, progress: number])[],
  after: readonly number[] = [],
  stepMs = 0,
): Script {
  return (id, params) => {
    const own = params?._meta?.progressToken;
    const progressOf = (progress: number, token: string | number | undefined) => ({
      method: "notifications/progress",
      params: { progressToken: token ?? own, progress },
    });
    const stream = new ReadableStream<Uint8Array>({
      async start(controller) {
        const say = (message: object) =>
          controller.enqueue(
            Buffer.from(`data: ${JSON.stringify({ jsonrpc: "2.0", ...message })}\n\n`),
          );
        for (const [token, progress] of steps) {
          say(progressOf(progress, token));
          if (stepMs > 0) await Bun.sleep(stepMs);
        }
        say({ id, result: { resultType: "complete", content: [] } });
        for (const progress of after) say(progressOf(progress, own));
        controller.close();
      },
    });
    return new Response(stream, { headers: { "Content-Type": "text/event-stream" } });
  };
}

/** Arguments that must stand in headers, too. */
export const protocolWaySchemas: Readonly<Record<string, object>> = {
  mirrored: {
    type: "object",
    properties: {
      region: { type: "string", "x-mcp-header": "Region" },
      count: { type: "integer", "x-mcp-header": "Count" },
    },
  },
};

export const protocolWayScripts: Readonly<Record<string, Script>> = {
  mirrored: (id) =>
    Response.json({ jsonrpc: "2.0", id, result: { resultType: "complete", content: [] } }),
  flooding: progressing(
    Array.from({ length: floodCount }, (_, at) => [undefined, at + 1]),
    [],
    floodStepMs,
  ),
  "odd-progress": progressing(
    [
      [undefined, 3],
      ["nobody's", 7],
      [undefined, 2],
      [undefined, 4],
    ],
    [9],
  ),
  [twoPartName]: (id) =>
    Response.json({
      jsonrpc: "2.0",
      id,
      result: { resultType: "complete", content: [{ type: "text", text: "of two parts" }] },
    }),
};

async function outcomesOfSlow(stage: Stage, status: string): Promise<number> {
  const records = await allRecords(stage.admin, { event: "call.outcome", tool: "slow" });
  return records.filter((record) => record.status === status).length;
}

/** The numbers an agent was told of a call, and how long it took. */
async function progressTold(stage: Stage, transport: Transport, name: string) {
  await using wire = await stage.open(transport);
  const meta = eraOf(transport) === "modern" ? modernMeta : {};
  const params = { name, arguments: {}, _meta: { ...meta, progressToken: "told" } };
  const startedMs = performance.now();
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
  const texts = await converse(wire, body);
  const seconds = (performance.now() - startedMs) / 1_000;
  expect(texts.at(-1)).toContain('"result"');
  const told = texts.slice(0, -1).map((text) => JSON.parse(text).params.progress as number);
  return { told, seconds };
}

const mirroredCall = (region: string, count: string) => (good: string) =>
  good
    .replace('"name":"echo"', '"name":"mirrored"')
    .replace(
      /"arguments":\{[^}]*\}/,
      () => `"arguments":{"region":${JSON.stringify(region)},"count":${count}}`,
    );
const base64 = (text: string) => `=?base64?${Buffer.from(text).toString("base64")}?=`;

/** A call of `mirrored` with these arguments under these headers. */
function mirrored(
  headers: Readonly<Record<string, string>>,
  region = "north",
  count = "42",
): Change {
  return (good) => ({ body: mirroredCall(region, count)(good), headers });
}

export const protocolWayRows: readonly Row[] = [
  {
    id: "PR-13",
    title: "headers that mirror arguments must say what the arguments say",
    transports: ["http-modern"],
    refused: {
      missing: mirrored({ "Mcp-Param-Region": "north" }),
      "both missing": mirrored({}),
      wrong: mirrored({ "Mcp-Param-Region": "south", "Mcp-Param-Count": "42" }),
      "other case": mirrored({ "Mcp-Param-Region": "North", "Mcp-Param-Count": "42" }),
      "another integer": mirrored({ "Mcp-Param-Region": "north", "Mcp-Param-Count": "43" }),
      "no integer": mirrored({ "Mcp-Param-Region": "north", "Mcp-Param-Count": "42x" }),
      "neighbour of a big integer": mirrored(
        { "Mcp-Param-Region": "north", "Mcp-Param-Count": "9007199254740992" },
        "north",
        "9007199254740993",
      ),
      "bad base64": mirrored({ "Mcp-Param-Region": "=?base64?n*?=", "Mcp-Param-Count": "42" }),
      "base64 of another": mirrored({
        "Mcp-Param-Region": base64("south"),
        "Mcp-Param-Count": "42",
      }),
      "raw Latin-1": mirrored(
        { "Mcp-Param-Region": "caf\u00e9", "Mcp-Param-Count": "42" },
        "caf\u00e9",
      ),
    },
    refusal: () => ({ code: -32020, status: 400 }),
    accepted: {
      same: { change: mirrored({ "Mcp-Param-Region": "north", "Mcp-Param-Count": "42" }) },
      "integer as 42.0": {
        change: mirrored({ "Mcp-Param-Region": "north", "Mcp-Param-Count": "42.0" }),
        forwarded: '"count":42}',
      },
      base64: {
        change: mirrored(
          { "Mcp-Param-Region": base64("caf\u00e9"), "Mcp-Param-Count": "42" },
          "caf\u00e9",
        ),
      },
      unknown: {
        change: mirrored({
          "Mcp-Param-Region": "north",
          "Mcp-Param-Count": "42",
          "Mcp-Param-Other": "x",
        }),
      },
    },
  },
  {
    id: "PR-20",
    title: "a flood of progress comes at a reader's pace, and ends with the last of it",
    transports,
    reachesServer: true,
    async run(stage, transport) {
      const { told, seconds } = await progressTold(stage, transport, "flooding");
      expect(told.length).toBeLessThanOrEqual(12 + 10 * seconds);
      expect(told.length).toBeGreaterThan(10);
      expect(told.at(-1)).toBe(floodCount);
      expect(told.toSorted((a, b) => a - b)).toEqual(told);
    },
  },
  {
    id: "PR-20",
    title: "progress that goes backwards, of another token, or after the answer is nobody's",
    transports,
    reachesServer: true,
    async run(stage, transport) {
      expect((await progressTold(stage, transport, "odd-progress")).told).toEqual([3, 4]);
    },
  },
  {
    id: "PR-19",
    title: "a modern agent that closes its stream has cancelled, and the outcome says so",
    transports: ["http-modern"],
    reachesServer: true,
    async run(stage) {
      const seenBefore = stage.upstream.seen.length;
      const cancelledBefore = stage.upstream.cancelled.length;
      const outcomesBefore = await outcomesOfSlow(stage, "cancelled");
      const leaving = new AbortController();
      const params = { name: "slow", arguments: { text: "leaving", delay_ms: 20_000 } };
      modernPost({
        base: stage.gateway.agents,
        scope: "tiny",
        token: stage.token,
        method: "tools/call",
        params,
        signal: leaving.signal,
      }).catch(() => {});
      await until("the call at the server", () => stage.upstream.seen.length > seenBefore);
      leaving.abort();
      await until("its cancellation", () => stage.upstream.cancelled.length > cancelledBefore);
      await until(
        "its outcome",
        async () => (await outcomesOfSlow(stage, "cancelled")) === outcomesBefore + 1,
      );
    },
  },
  {
    id: "PR-19",
    title: "a legacy agent that loses its connection has cancelled nothing",
    transports: ["http-legacy"],
    reachesServer: true,
    async run(stage, transport) {
      const cancelledBefore = stage.upstream.cancelled.length;
      const seenBefore = stage.upstream.seen.length;
      const outcomesBefore = await outcomesOfSlow(stage, "success");
      await using wire = await stage.open(transport);
      const leaving = new AbortController();
      const params = { name: "slow", arguments: { text: "goes on", delay_ms: 300 } };
      const call = requestText("legacy", "tools/call", params, "goes-on");
      const lost = wire.send(call, { signal: leaving.signal });
      await until("the call at the server", () => stage.upstream.seen.length > seenBefore);
      leaving.abort();
      await lost.catch(() => {});
      await until(
        "its outcome",
        async () => (await outcomesOfSlow(stage, "success")) === outcomesBefore + 1,
      );
      expect(stage.upstream.cancelled.length).toBe(cancelledBefore);
    },
  },
  {
    id: "PR-27",
    title: "the first separator parts server and tool, whatever the tool's own name holds",
    transports,
    reachesServer: true,
    async run(stage, transport) {
      await using wire = await mustOpenWire(transport, {
        base: stage.gateway.agents,
        scope: "all",
        token: stage.token,
      });
      const era = eraOf(transport);
      const name = `tiny__${twoPartName}`;
      const answer = await wire.send(callText(era, { name }));
      expect(answer.text).toContain("of two parts");
      expect(stage.upstream.seen.at(-1)?.name).toBe(twoPartName);
      const seenBefore = stage.upstream.seen.length;
      for (const other of [twoPartName, "tiny__b__c__d", "tiny__b", "tiny____b__c", "__b__c"]) {
        const refused = await wire.send(callText(era, { name: other, id: other }));
        expect(refused.code, other).toBe(-32602);
      }
      expect(stage.upstream.seen.length).toBe(seenBefore);
    },
  },
];
