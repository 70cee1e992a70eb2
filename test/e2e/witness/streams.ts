/** The small print of Streamable HTTP in the older revisions: ids, resumption, retry, DELETE, and `Origin` alone. */
import { expect } from "bun:test";
import { legacyAgents, openRaw, readUntil, type Witness } from "./stage.ts";

const steps = (id: number, name = "steps") => ({
  id,
  method: "tools/call",
  params: { name, arguments: {}, _meta: { progressToken: "t" } },
});

export const streamWitnesses: readonly Witness[] = [
  {
    fault: "sse-ids",
    title: "every event of a call has an id of its own",
    ways: legacyAgents,
    notices: /without an id/,
    async run(stage) {
      const session = await openRaw(stage);
      const text = await readUntil(stage, await session.post(steps(1)), '"result"');
      const events = text.split("\n\n").filter((event) => event.includes("data: {"));
      const ids = events.map((event) => /^id: ?(\S+)$/m.exec(event)?.[1]);
      expect(events.length).toBe(4);
      if (ids.includes(undefined)) throw new Error(`without an id: ${text}`);
      expect(new Set(ids).size).toBe(ids.length);
    },
  },
  {
    fault: "resumption",
    title: "a broken stream goes on where it broke, with the answer",
    ways: legacyAgents,
    notices: /not resumed/,
    async run(stage) {
      const session = await openRaw(stage);
      const broken = await readUntil(
        stage,
        await session.post(steps(1, "slow-steps")),
        /^id: .*\ndata: \{/m,
      );
      const id = [...broken.matchAll(/^id: ?(\S+)$/gm)].at(-1)?.[1];
      if (id === undefined) throw new Error(`no id to resume from: ${broken}`);
      const resumed = await readUntil(
        stage,
        await session.get({ "Last-Event-ID": id }),
        '"result"',
      );
      if (!resumed.includes('"result"')) throw new Error(`not resumed: ${resumed}`);
      const told = [...(broken + resumed).matchAll(/"progress":(\d)/g)].map(([, step]) => step);
      expect(told).toEqual(["1", "2", "3"]);
    },
  },
  {
    fault: "delete",
    title: "a session that was ended is over",
    ways: legacyAgents,
    notices: /still open/,
    async run(stage) {
      const session = await openRaw(stage);
      expect((await session.delete()).ok).toBe(true);
      const after = await session.post({ id: 1, method: "ping" });
      if (after.status !== 404) throw new Error(`still open: ${after.status}`);
    },
  },
  {
    fault: "origin",
    title: "a foreign Origin is refused although the Host is right",
    ways: legacyAgents,
    notices: /let in/,
    async run(stage) {
      const session = await openRaw(stage);
      const ping = { id: 1, method: "ping" };
      expect((await session.post(ping)).status).toBe(200);
      const foreign = await session.post(ping, { Origin: "https://evil.example" });
      if (foreign.status !== 403) throw new Error(`let in: ${foreign.status}`);
    },
  },
  {
    fault: "retry",
    title: "a stream that the gateway lets go of says when to come back",
    ways: [["legacy", "legacy"]],
    notices: /no retry/,
    hasOwnGateway: true,
    async run(stage) {
      const session = await openRaw(stage);
      const stream = await session.get();
      stage.endGateway();
      const text = await readUntil(stage, stream, /^retry: ?\d+$/m);
      if (!/^retry: ?\d+$/m.test(text)) throw new Error(`no retry: ${text}`);
    },
  },
];
