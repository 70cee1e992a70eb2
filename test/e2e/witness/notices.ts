/** Notifications in both directions: what was said must arrive, with everything in it. */
import { expect } from "bun:test";
import {
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { until, within } from "../../support/deadline.ts";
import { openListener } from "../../support/listener.ts";
import { modernMeta } from "../../support/modern-agent.ts";
import { loggerName, noteUri } from "../../support/witness-server.ts";
import {
  allWays,
  bearer,
  connectAgent,
  connectLegacy,
  type Era,
  legacyAgents,
  readUntil,
  type Witness,
  type WitnessStage,
} from "./stage.ts";

/** The stream of one modern request, by hand: the SDK shows no log messages of a call. */
function modernStream(
  stage: WitnessStage,
  method: string,
  params: Readonly<Record<string, unknown>>,
  name?: string,
): Promise<Response> {
  const meta = { ...modernMeta, "io.modelcontextprotocol/logLevel": "debug" };
  return fetch(stage.url, {
    method: "POST",
    headers: {
      ...bearer(stage),
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": method,
      ...(name === undefined ? {} : { "Mcp-Name": name }),
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: meta } }),
  });
}

/** The first change that a modern agent hears of, once the server is followed. */
async function hearModern(
  stage: WitnessStage,
  notifications: Readonly<Record<string, unknown>>,
  change: () => Promise<void>,
): Promise<string | undefined> {
  await using listener = await openListener("http-modern", stage, notifications);
  const first = await listener.next(stage.patienceMs);
  expect(first?.method).toBe("notifications/subscriptions/acknowledged");
  await change();
  return (await listener.next(stage.patienceMs))?.method;
}

export const noticeWitnesses: readonly Witness[] = [
  {
    fault: "initialized",
    title: "a legacy server hears that the session is open",
    ways: [
      ["legacy", "legacy"],
      ["modern", "legacy"],
    ],
    notices: /never initialized/,
    async run(stage, era) {
      await using agent = await connectAgent(stage, era);
      await agent.listTools({});
      await until(
        "never initialized",
        () => stage.server.seen.includes("initialized"),
        stage.patienceMs,
      );
    },
  },
  {
    fault: "cancelled",
    title: "a withdrawn call is withdrawn at a legacy server",
    ways: [
      ["legacy", "legacy"],
      ["modern", "legacy"],
    ],
    notices: /never cancelled/,
    async run(stage, era) {
      await using agent = await connectAgent(stage, era);
      const leaving = new AbortController();
      const call = callWait(agent, era, leaving.signal);
      await until("the call", () => stage.server.seen.includes("started"), stage.patienceMs);
      leaving.abort();
      await call.catch(() => {});
      await until(
        "never cancelled",
        () => stage.server.seen.includes("cancelled"),
        stage.patienceMs,
      );
    },
  },
  {
    fault: "logger",
    title: "a log message keeps its logger's name",
    ways: allWays,
    notices: /logger/,
    async run(stage, era) {
      expect({ logger: await loggerOf(stage, era) }).toEqual({ logger: loggerName });
    },
  },
  {
    fault: "list-changed",
    title: "an agent hears that a server's tools changed",
    ways: allWays,
    notices: /no list_changed/,
    async run(stage, era) {
      if (era === "modern") {
        const filter = { toolsListChanged: true };
        const heard = await hearModern(stage, filter, () => stage.server.changeTools());
        if (heard !== "notifications/tools/list_changed") throw new Error("no list_changed");
        return;
      }
      await using agent = await connectLegacy(stage);
      const { promise, resolve } = Promise.withResolvers<void>();
      agent.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
      await agent.listTools({});
      await changeUntil(stage, promise, () => stage.server.changeTools(), "no list_changed");
    },
  },
  {
    fault: "get-stream",
    title: "a legacy agent hears of changes on the stream it opens by GET",
    ways: legacyAgents,
    notices: /no list_changed/,
    async run(stage) {
      await using agent = await connectLegacy(stage);
      const { promise, resolve } = Promise.withResolvers<void>();
      agent.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
      await agent.listTools({});
      await changeUntil(stage, promise, () => stage.server.changeTools(), "no list_changed");
    },
  },
  {
    fault: "resources-updated",
    title: "a subscribed agent hears that a resource changed",
    ways: allWays,
    notices: /no resources\/updated/,
    async run(stage, era) {
      if (era === "modern") {
        const filter = { resourceSubscriptions: [noteUri] };
        const heard = await hearModern(stage, filter, () => stage.server.touch(noteUri));
        if (heard !== "notifications/resources/updated") throw new Error("no resources/updated");
        return;
      }
      await using agent = await connectLegacy(stage);
      const { promise, resolve } = Promise.withResolvers<string>();
      agent.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) =>
        resolve(params.uri),
      );
      await agent.subscribeResource({ uri: noteUri });
      await stage.server.touch(noteUri);
      expect(await within("no resources/updated", promise, stage.patienceMs)).toBe(noteUri);
    },
  },
];

/** A server's own stream may not be open at once: changes until one is heard. */
async function changeUntil(
  stage: WitnessStage,
  heard: Promise<void>,
  change: () => Promise<void>,
  what: string,
): Promise<void> {
  let isHeard = false;
  void heard.then(() => {
    isHeard = true;
  });
  await until(
    what,
    async () => {
      if (!isHeard) await change();
      await Bun.sleep(100);
      return isHeard;
    },
    stage.patienceMs,
  );
}

function callWait(
  agent: Awaited<ReturnType<typeof connectAgent>>,
  era: Era,
  signal: AbortSignal,
): Promise<unknown> {
  const params = { name: "wait", arguments: {} };
  if (era === "modern") return (agent as ModernAgent).callTool(params, { signal });
  return (agent as LegacyAgent).callTool(params, undefined, { signal });
}

type LegacyAgent = Awaited<ReturnType<typeof connectLegacy>>;
type ModernAgent = Exclude<Awaited<ReturnType<typeof connectAgent>>, LegacyAgent>;

async function loggerOf(stage: WitnessStage, era: Era): Promise<string | undefined> {
  if (era === "modern") {
    const params = { name: "log", arguments: {} };
    const response = await modernStream(stage, "tools/call", params, "log");
    const text = await readUntil(stage, response, '"result"');
    const line = text.split("\n").find((one) => one.includes("notifications/message"));
    if (line === undefined) throw new Error(`no log message: ${text}`);
    return JSON.parse(line.slice("data: ".length)).params.logger;
  }
  await using agent = await connectLegacy(stage);
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  agent.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) =>
    resolve(params.logger),
  );
  await agent.setLoggingLevel("debug");
  await agent.callTool({ name: "log", arguments: {} });
  return within("no log message", promise, stage.patienceMs);
}
