/** Group TS: who may listen to what, in which order it comes, and how it ends. */
import { expect } from "bun:test";
import { createAdminClient } from "../../../support/admin-client.ts";
import { until } from "../../../support/deadline.ts";
import type { Row, Stage } from "../../../support/fault-suite.ts";
import { startGateway } from "../../../support/gateway-process.ts";
import { type Listener, openListener } from "../../../support/listener.ts";
import { registerClient, registerHttpServer } from "../../../support/operator.ts";
import type { Script } from "../../../support/scripted-server.ts";
import { requestText, type Transport } from "../../../support/wires.ts";

type ModernTransport = "http-modern" | "ws-modern";
const modern = ["http-modern", "ws-modern"] as const satisfies readonly Transport[];
const legacy = ["http-legacy", "sse", "ws-legacy"] as const satisfies readonly Transport[];
const acknowledged = "notifications/subscriptions/acknowledged";
const updated = "notifications/resources/updated";

/** The principal of these rows may have so many listens. */
export const listensPerPrincipalMax = 4;
/** How soon a listener must feel that it lost a right. */
const revokedMs = 1_000;
/** Long enough to be sure that nothing comes. */
const quietMs = 300;

function listen(
  stage: Stage,
  transport: Transport,
  notifications: Readonly<Record<string, unknown>>,
  token = stage.token,
): Promise<Listener> {
  const place = { base: stage.gateway.agents, scope: "tiny", token };
  return openListener(transport as ModernTransport, place, notifications);
}

export const listenRows: readonly Row[] = [
  {
    id: "TS-07",
    title: "what may not be read is not listened to, as if it were not there",
    transports: modern,
    async run(stage, transport) {
      const uris = ["note:///open", "note:///closed", "note:///nowhere"];
      await using listener = await listen(stage, transport, { resourceSubscriptions: uris });
      const first = await listener.next();
      expect(first?.method).toBe(acknowledged);
      expect(first?.params?.notifications).toEqual({ resourceSubscriptions: ["note:///open"] });
      for (const uri of uris) stage.upstream.tell(updated, { uri });
      expect((await listener.next())?.params?.uri).toBe("note:///open");
      expect(await listener.next(quietMs)).toBeUndefined();
    },
  },
  {
    id: "TS-07",
    title: "one listen more than allowed is refused, and a place that was left is free again",
    transports: modern,
    async run(stage, transport) {
      const token = await registerClient(stage.admin, `listener-${transport}`, {
        allowed_tools: ["*"],
      });
      const filter = { toolsListChanged: true };
      await using open = new AsyncDisposableStack();
      let last: Listener | undefined;
      for (let count = 0; count < listensPerPrincipalMax; count += 1) {
        last = open.use(await listen(stage, transport, filter, token));
        expect((await last.next())?.method).toBe(acknowledged);
      }
      await using refused = await listen(stage, transport, filter, token);
      expect((await refused.next())?.error?.code).toBe(42902);
      await last?.[Symbol.asyncDispose]();
      await until("a free place", async () => {
        await using again = await listen(stage, transport, filter, token);
        return (await again.next())?.method === acknowledged;
      });
    },
  },
  {
    id: "TS-07",
    title: "a filter of 100,000 URIs is refused before anything looks at them",
    transports: modern,
    async run(stage, transport) {
      const uris = Array.from({ length: 100_000 }, (_, at) => `note:///${at}`);
      await using listener = await listen(stage, transport, { resourceSubscriptions: uris });
      expect((await listener.next())?.error?.code).toBe(-32600);
    },
  },
  {
    id: "TS-08",
    title: "the acknowledgement comes first, and nothing that was not asked for",
    transports: modern,
    async run(stage, transport) {
      await using other = await listen(stage, transport, { resourcesListChanged: true });
      expect((await other.next())?.method).toBe(acknowledged);
      await using listener = await listen(stage, transport, { toolsListChanged: true });
      expect((await listener.next())?.method).toBe(acknowledged);
      stage.upstream.tell("notifications/resources/list_changed");
      stage.upstream.tell("notifications/prompts/list_changed");
      stage.upstream.tell(updated, { uri: "note:///open" });
      stage.upstream.tell("notifications/tools/list_changed");
      expect((await listener.next())?.method).toBe("notifications/tools/list_changed");
      expect(await listener.next(quietMs)).toBeUndefined();
      expect((await other.next())?.method).toBe("notifications/resources/list_changed");
    },
  },
  {
    id: "TS-08",
    title: "a right that is taken away in mid-stream is gone within a second",
    transports: modern,
    async run(stage, transport) {
      const id = `revoked-${transport}`;
      const rights = { allowed_tools: ["*"], allowed_resources: ["note:///*"] };
      const token = await registerClient(stage.admin, id, rights);
      const filter = { resourceSubscriptions: ["note:///open"] };
      await using listener = await listen(stage, transport, filter, token);
      expect((await listener.next())?.method).toBe(acknowledged);
      stage.upstream.tell(updated, { uri: "note:///open" });
      expect((await listener.next())?.method).toBe(updated);
      await stage.admin.call("ClientService", "UpdateClient", {
        client: { id, enabled: true, allowed_tools: ["*"] },
      });
      await Bun.sleep(revokedMs);
      stage.upstream.tell(updated, { uri: "note:///open" });
      for (;;) {
        const next = await listener.next(quietMs);
        if (next === undefined) break;
        expect(next.method).not.toBe(updated);
      }
    },
  },
  {
    id: "TS-11",
    title: "every listen gets its last word when the gateway ends",
    transports: modern,
    async run(stage, transport) {
      const listens = 200;
      await using ending = await startGateway();
      await using admin = createAdminClient(ending);
      await registerHttpServer(admin, "tiny", stage.upstream.url);
      const token = await registerClient(admin, "many", { allowed_tools: ["*"] });
      await using open = new AsyncDisposableStack();
      const listeners = await Promise.all(
        Array.from({ length: listens }, async () => {
          const place = { base: ending.agents, scope: "tiny", token };
          const filter = { toolsListChanged: true };
          return open.use(await openListener(transport as ModernTransport, place, filter));
        }),
      );
      for (const listener of listeners) expect((await listener.next())?.method).toBe(acknowledged);
      ending.kill("SIGTERM");
      const last = await Promise.all(listeners.map((listener) => listener.next()));
      expect(last.map((message) => message?.result?.resultType)).toEqual(
        Array(listens).fill("complete"),
      );
      expect(await ending.exited).toBe(0);
    },
  },
];

/** For agents of the older revisions, whose subscriptions are listens inside. */
export const subscriptionRows: readonly Row[] = [
  {
    id: "TS-07",
    title: "a subscription to what may not be read is answered like one to what is not there",
    transports: legacy,
    async run(stage, transport) {
      await using wire = await stage.open(transport);
      const ask = (uri: string) =>
        wire.send(requestText("legacy", "resources/subscribe", { uri }, uri.length));
      const hidden = await ask("note:///closed");
      const missing = await ask("note:///absent");
      expect(hidden.code).toBeNumber();
      expect(hidden.text.replace("closed", "absent")).toBe(missing.text);
      expect((await ask("note:///open")).text).toContain('"result"');
    },
  },
];

interface RawSession {
  readonly id: string;
  get(eventId: string, token?: string): Promise<Response>;
}

async function openSession(stage: Stage): Promise<RawSession & { call(): Promise<string> }> {
  const url = `${stage.gateway.agents}/tiny/mcp`;
  const headersOf = (token: string) => ({
    Authorization: `Bearer ${token}`,
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-11-25",
  });
  const clientInfo = { name: "resumer", version: "1" };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
  const opened = await fetch(url, {
    method: "POST",
    headers: headersOf(stage.token),
    body: requestText("legacy", "initialize", params),
  });
  const id = opened.headers.get("mcp-session-id") ?? "";
  return {
    id,
    get: (eventId, token = stage.token) =>
      fetch(url, {
        headers: {
          ...headersOf(token),
          Accept: "text/event-stream",
          "Mcp-Session-Id": id,
          "Last-Event-ID": eventId,
        },
      }),
    async call() {
      const call = { name: "told", arguments: {}, _meta: { progressToken: "t" } };
      const response = await fetch(url, {
        method: "POST",
        headers: { ...headersOf(stage.token), "Mcp-Session-Id": id },
        body: requestText("legacy", "tools/call", call),
      });
      return response.text();
    },
  };
}

/** `told` tells progress before it answers. */
export const toldScripts: Readonly<Record<string, Script>> = {
  told: (id, params) => {
    const progressToken = params?._meta?.progressToken;
    const messages = [1, 2].map((progress) => ({
      method: "notifications/progress",
      params: { progressToken, progress },
    }));
    const result = { resultType: "complete", content: [] };
    const events = [...messages, { id, result }].map(
      (message) => `data: ${JSON.stringify({ jsonrpc: "2.0", ...message })}\n\n`,
    );
    return new Response(events.join(""), { headers: { "Content-Type": "text/event-stream" } });
  },
};

export const resumptionRows: readonly Row[] = [
  {
    id: "TS-10",
    title: "an event id opens its own session's stream, to its own principal alone",
    transports: ["http-legacy"],
    reachesServer: true,
    async run(stage) {
      const own = await openSession(stage);
      const other = await openSession(stage);
      const text = await own.call();
      const [first = "", ...more] = [...text.matchAll(/^id: ?(\S+)$/gm)].map(([, id]) => id ?? "");
      expect(more.length).toBeGreaterThan(0);
      const replayed = await (await own.get(first)).text();
      expect(replayed).toContain('"result"');

      const foreign = await other.get(first);
      expect(foreign.status).toBe(400);
      expect(await foreign.text()).not.toContain("progress");
      expect((await own.get(first, stage.otherToken)).status).toBe(404);
      expect((await own.get(first, "wrong")).status).toBe(401);
      const flipped = `${first.startsWith("0") ? "1" : "0"}${first.slice(1)}`;
      for (const guess of [
        flipped,
        `${first}zz`,
        "1",
        "../1",
        "\u00e9".repeat(9),
        "x".repeat(4_000),
      ]) {
        const answer = await own.get(guess);
        expect(answer.status, guess).toBe(400);
        await answer.body?.cancel();
      }
    },
  },
];
