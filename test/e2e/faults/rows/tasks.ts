/** Group AZ of the catalogue: tasks that belong to somebody else, or to nobody. */
import { expect } from "bun:test";
import type { Row } from "../../../support/fault-suite.ts";
import { modernMeta } from "../../../support/modern-agent.ts";
import { type Script, scriptedTask } from "../../../support/scripted-server.ts";
import type { Wire } from "../../../support/wires.ts";

/** What the server's further tools answer. */
export const taskScripts: Readonly<Record<string, Script>> = {
  later: (id) =>
    Response.json({ jsonrpc: "2.0", id, result: { ...scriptedTask, resultType: "task" } }),
};

/** A request of an agent that declares tasks. */
function aboutTask(method: string, params: object): string {
  const clientCapabilities = { extensions: { "io.modelcontextprotocol/tasks": {} } };
  const _meta = { ...modernMeta, "io.modelcontextprotocol/clientCapabilities": clientCapabilities };
  return JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } });
}

export const taskRows: readonly Row[] = [
  {
    id: "AZ-07",
    title: "a task of another principal, and one nobody has, is unknown",
    transports: ["http-modern", "ws-modern"],
    reachesServer: true,
    async run(stage, transport) {
      await using own = await stage.open(transport);
      const begun = await own.send(aboutTask("tools/call", { name: "later", arguments: {} }));
      const { taskId } = JSON.parse(begun.text.slice(begun.text.indexOf("{"))).result;
      const get = (wire: Wire, id: unknown) =>
        wire.send(aboutTask("tasks/get", { taskId: id as string }));
      const seen = await get(own, taskId);
      expect(seen.text).toContain(taskId);
      await using other = await stage.open(transport, stage.otherToken);
      const refusals = [
        await get(other, taskId),
        await get(own, scriptedTask.taskId),
        await get(own, `${taskId}A`),
        await get(own, ""),
      ];
      for (const { code, text } of refusals)
        expect([code, text]).toEqual([-32602, refusals[0]?.text ?? ""]);
      for (const text of [begun.text, seen.text]) expect(text).not.toContain(scriptedTask.taskId);
    },
  },
];
