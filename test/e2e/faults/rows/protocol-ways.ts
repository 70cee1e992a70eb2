/** More of group PR: what a lost connection means in each era, and names on their way through every door. */
import { expect } from "bun:test";
import { until } from "../../../support/deadline.ts";
import type { Row, Stage } from "../../../support/fault-suite.ts";
import { modernPost } from "../../../support/modern-agent.ts";
import { allRecords } from "../../../support/operator.ts";
import type { Script } from "../../../support/scripted-server.ts";
import { callText, eraOf, mustOpenWire, requestText, transports } from "../../../support/wires.ts";

const twoPartName = "b__c";

export const protocolWayScripts: Readonly<Record<string, Script>> = {
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

export const protocolWayRows: readonly Row[] = [
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
