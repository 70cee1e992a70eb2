/** More of group PR: what a lost connection means in each era, and names on their way through every door. */
import { expect } from "bun:test";
import { until } from "../../../support/deadline.ts";
import type { Row, Stage } from "../../../support/fault-suite.ts";
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

export const protocolWayScripts: Readonly<Record<string, Script>> = {
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

export const protocolWayRows: readonly Row[] = [
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
