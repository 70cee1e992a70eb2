/** Group AZ of the catalogue: reaching for what belongs to somebody else, or to nobody. */
import { expect } from "bun:test";
import { until } from "../../../support/deadline.ts";
import { everywhere, type Row, refusalOf, type Stage } from "../../../support/fault-suite.ts";
import { allRecords, generousLimits, registerClient } from "../../../support/operator.ts";
import {
  callText,
  eraOf,
  mustOpenWire,
  pathOf,
  requestText,
  type Transport,
  transports,
} from "../../../support/wires.ts";

const unknown = everywhere(-32602, 200, { sse: { code: -32602, status: 202 } });
const sessions = ["http-legacy", "sse"] as const satisfies readonly Transport[];

const closedSpellings = [
  "note:///closed",
  "NOTE:///closed",
  "note:///%63losed",
  "note:///open/../closed",
  "note:///open/%2e%2e/closed",
  "note:///open#/../closed",
  "note:///open\0",
];

export const authorizationRows: readonly Row[] = [
  {
    id: "AZ-01",
    title: "a scope that is not exactly one of ours is 404, never a wider one",
    transports,
    async run(stage, transport) {
      const kind = pathOf(transport, "");
      const scopes = [
        "nope",
        "TINY",
        "tin",
        "tiny.",
        "%74iny",
        "tiny%00",
        "all%2ftiny",
        "hidden",
        "*",
        "a".repeat(63),
        "a".repeat(64),
        "a".repeat(4_096),
      ];
      for (const scope of scopes) {
        const answer = await refusalOf(stage, transport, stage.token, { scope });
        expect(answer.status, `/${scope.slice(0, 70)}${kind}: ${answer.text}`).toBe(404);
      }
    },
  },
  {
    id: "AZ-02",
    title: "a hidden tool and one that does not exist get the same bytes",
    transports,
    async run(stage, transport) {
      await using wire = await stage.open(transport);
      const [hidden, missing] = await textsOf(wire, transport, ["secret", "nosuch"]);
      expect(hidden?.replaceAll("secret", "nosuch")).toBe(missing ?? "");
      expect(hidden).toContain("-32602");
    },
  },
  {
    id: "AZ-02",
    title: "the merged scope hides the same tool",
    transports,
    async run(stage, transport) {
      const own = { base: stage.gateway.agents, scope: "all", token: stage.token };
      await using wire = await mustOpenWire(transport, own);
      const names = ["tiny__secret", "tiny__nosuch"];
      const [hidden, missing] = await textsOf(wire, transport, names);
      expect(hidden?.replaceAll("secret", "nosuch")).toBe(missing ?? "");
      const list = await wire.send(requestText(eraOf(transport), "tools/list"));
      expect(list.text).toContain("tiny__echo");
      expect(list.text).not.toContain("secret");
    },
  },
  {
    id: "AZ-05",
    title: "a session is its owner's, on its own path",
    transports: sessions,
    async run(stage, transport) {
      await stage.open(transport).then((wire) => wire[Symbol.asyncDispose]());
      const session = await openSession(stage, transport, stage.token);
      const asked = (path: string, token: string) => session.post(path, token);
      expect((await asked(session.path, stage.otherToken)).status).toBe(404);
      expect((await asked(session.path.replace("tiny", "all"), stage.token)).status).toBe(404);
      expect((await asked(session.path, "wrong")).status).toBe(401);
      expect((await asked(session.path, stage.token)).status).toBeLessThan(300);
      session.leave();
    },
  },
  {
    id: "AZ-05",
    title: "a session id of one transport, guessed or ended, opens nothing",
    transports: sessions,
    async run(stage, transport) {
      const session = await openSession(stage, transport, stage.token);
      const other = transport === "sse" ? "http-legacy" : "sse";
      const crossed = await postTo(stage, other, session.id, stage.token);
      expect(crossed.status).toBe(404);
      for (const id of [
        "x",
        "0".repeat(session.id.length),
        `${session.id}A`,
        session.id.slice(1),
      ]) {
        expect((await postTo(stage, transport, id, stage.token)).status, id).toBe(404);
      }
      expect(Buffer.from(session.id, "base64url").length).toBeGreaterThanOrEqual(16);
      session.leave();
      if (transport === "http-legacy") {
        const headers = { Authorization: `Bearer ${stage.token}`, "Mcp-Session-Id": session.id };
        const url = `${stage.gateway.agents}/tiny/mcp`;
        expect((await fetch(url, { method: "DELETE", headers })).status).toBe(204);
      }
      await until("the end of the session", async () => {
        const answer = await postTo(stage, transport, session.id, stage.token);
        return answer.status === 404;
      });
    },
  },
  {
    id: "AZ-05",
    title: "a rotation ends the sessions of the old token, for the new one as well",
    transports: ["http-legacy"],
    reachesServer: true,
    async run(stage) {
      const id = "rotating";
      const old = await registerClient(stage.admin, id, { allowed_tools: ["tiny__echo"] });
      const session = await openSession(stage, "http-legacy", old);
      const { token } = await stage.admin.call<{ token: string }>("ClientService", "RotateToken", {
        client_id: id,
      });
      expect((await session.post(session.path, old)).status).toBe(401);
      expect((await session.post(session.path, token)).status).toBe(404);
    },
  },
  {
    id: "AZ-06",
    title: "many clients with one id each get their own answer",
    transports,
    reachesServer: true,
    async run(stage, transport) {
      const clients = 40;
      const answers = await Promise.all(
        Array.from({ length: clients }, async (_, at) => {
          const token = at % 2 === 0 ? stage.token : stage.otherToken;
          await using wire = await stage.open(transport, token);
          const text = `canary-${transport}-${at}.`;
          const params = { name: "slow", arguments: { text, delay_ms: at % 7 } };
          const answer = await wire.send(requestText(eraOf(transport), "tools/call", params, 1));
          return { text, received: answer.text };
        }),
      );
      for (const { text, received } of answers) expect(received).toContain(text);
    },
  },
  {
    id: "AZ-08",
    title: "without a session id there is no session, even where only one is open",
    transports: ["http-legacy"],
    async run(stage) {
      const session = await openSession(stage, "http-legacy", stage.token);
      const answer = await postTo(stage, "http-legacy", undefined, stage.token);
      expect(answer.status).toBe(400);
      session.leave();
    },
  },
  {
    id: "AZ-09",
    // Within a server's own scope its cursors are its own; a merged list is one page and has none.
    title: "a cursor or a request state nobody gave out is refused",
    transports,
    async run(stage, transport) {
      const own = { base: stage.gateway.agents, scope: "all", token: stage.token };
      await using wire = await mustOpenWire(transport, own);
      for (const cursor of ["garbage", "", "MTAw", "x".repeat(5_000)]) {
        const answer = await wire.send(requestText(eraOf(transport), "tools/list", { cursor }));
        expect(answer.code, cursor.slice(0, 20)).toBe(-32602);
      }
      // The older revisions have no such member.
      if (eraOf(transport) === "legacy") return;
      for (const requestState of ["garbage", "", "A".repeat(500), 7, null]) {
        const params = { name: "tiny__echo", arguments: { text: "x" }, requestState };
        const answer = await wire.send(requestText("modern", "tools/call", params));
        expect(answer.code, String(requestState).slice(0, 20)).toBe(-32602);
      }
    },
  },
  {
    id: "AZ-10",
    title: "a resource out of reach is so on every path to it",
    transports,
    async run(stage, transport) {
      await using wire = await stage.open(transport);
      const era = eraOf(transport);
      const read = await wire.send(requestText(era, "resources/read", { uri: "note:///open" }));
      expect(read.text).toContain('"result"');
      const list = await wire.send(requestText(era, "resources/list"));
      expect(list.text).toContain("note:///open");
      expect(list.text).not.toContain("note:///closed");
      for (const uri of closedSpellings) {
        const refused = await wire.send(requestText(era, "resources/read", { uri }));
        expect(refused.code, uri).toBe(era === "modern" ? -32602 : -32002);
      }
      const ref = { type: "ref/resource", uri: "note:///closed" };
      const argument = { name: "x", value: "" };
      const completion = await wire.send(
        requestText(era, "completion/complete", { ref, argument }),
      );
      expect(completion.code, completion.text).toBe(-32602);
    },
  },
  {
    id: "AZ-11",
    title: "a hidden tool is denied under every spelling",
    transports,
    refused: Object.fromEntries(
      [
        "secret",
        "Secret",
        "SECRET",
        "secret ",
        " secret",
        "tiny__secret",
        "tiny/secret",
        "\uff53ecret",
        "secret\u200b",
        "secret\0",
        "*",
        "e*",
        "echo,secret",
      ].map((name) => [
        JSON.stringify(name),
        (good: string) => good.replace('"echo"', () => JSON.stringify(name)),
      ]),
    ),
    refusal: unknown,
  },
  {
    id: "AZ-11",
    title: "a list leaves out exactly what a call would refuse",
    transports,
    async run(stage, transport) {
      await using wire = await stage.open(transport);
      const list = await wire.send(requestText(eraOf(transport), "tools/list"));
      const names = JSON.parse(list.text).result.tools.map((tool: { name: string }) => tool.name);
      expect(names.sort()).toEqual(["echo", "slow"]);
    },
  },
  {
    id: "AZ-14",
    title: "a right taken away is gone with the next call on an open connection",
    transports,
    reachesServer: true,
    async run(stage, transport) {
      const id = `shrinking-${transport}`;
      const rights = { allowed_tools: ["tiny__echo", "tiny__slow"], limits: generousLimits };
      const token = await registerClient(stage.admin, id, rights);
      await using wire = await stage.open(transport, token);
      const call = () => wire.send(callText(eraOf(transport)));
      expect((await call()).text).toContain('"result"');
      await stage.admin.call("ClientService", "UpdateClient", {
        client: { id, enabled: true, ...rights, allowed_tools: ["tiny__slow"] },
      });
      const seenBefore = stage.upstream.seen.length;
      expect((await call()).code).toBe(-32602);
      expect(stage.upstream.seen.length).toBe(seenBefore);
    },
  },
  {
    id: "AZ-19",
    title: "calls in a burst are each decided on their own and each recorded",
    transports: ["http-modern", "ws-legacy", "ws-modern"],
    reachesServer: true,
    async run(stage, transport) {
      const client = `burst-${transport}`;
      const token = await registerClient(stage.admin, client, { allowed_tools: ["tiny__echo"] });
      await using wire = await stage.open(transport, token);
      const names = ["echo", "secret", "echo", "secret", "nosuch"];
      const answers = await Promise.all(
        names.map((name, id) => wire.send(callText(eraOf(transport), { name, id }))),
      );
      const byId = new Map(answers.map(({ text }) => [JSON.parse(text).id, JSON.parse(text)]));
      const codes = names.map((_, id) => byId.get(id)?.error?.code);
      expect(codes).toEqual([undefined, -32602, undefined, -32602, -32602]);
      await until("a record of each", async () => {
        const outcomes = await allRecords(stage.admin, { event: "call.outcome", client });
        const calls = outcomes.filter((one) => one.method === "tools/call");
        return (
          calls
            .map((one) => one.status)
            .sort()
            .join() === "denied,denied,denied,success,success"
        );
      });
    },
  },
  {
    id: "AZ-19",
    title: "a batch of 2025-03-26 is decided message by message",
    transports: ["http-legacy"],
    reachesServer: true,
    async run(stage) {
      const session = await openSession(stage, "http-legacy", stage.token, "2025-03-26");
      const calls = ["echo", "secret", "echo"].map((name, id) => callText("legacy", { name, id }));
      const seenBefore = stage.upstream.seen.length;
      const answer = await session.post(session.path, stage.token, `[${calls.join(",")}]`);
      const answers = (await answer.json()) as readonly { id: number; error?: { code: number } }[];
      const codes = answers.map(({ id, error }) => [id, error?.code]);
      expect(codes).toEqual([
        [0, undefined],
        [1, -32602],
        [2, undefined],
      ]);
      expect(stage.upstream.seen.length).toBe(seenBefore + 2);
    },
  },
  {
    id: "AZ-19",
    title: "later revisions have no batches",
    transports,
    refused: {
      "allowed and denied": (good) => `[${good},${good.replace("echo", "secret")}]`,
      "one message": (good) => `[${good}]`,
    },
    refusal: everywhere(-32600, 400),
  },
];

async function textsOf(
  wire: { send(body: string): Promise<{ readonly text: string }> },
  transport: Transport,
  names: readonly string[],
): Promise<readonly string[]> {
  const texts: string[] = [];
  for (const name of names) {
    texts.push((await wire.send(callText(eraOf(transport), { name }))).text);
  }
  return texts;
}

interface Session {
  readonly id: string;
  readonly path: string;
  post(path: string, token: string, body?: string): Promise<Response>;
  leave(): void;
}

/** A legacy session whose id the test gets to see. */
async function openSession(
  stage: Stage,
  transport: Transport,
  token: string,
  protocolVersion = "2025-11-25",
): Promise<Session> {
  const base = stage.gateway.agents;
  const path = pathOf(transport, "tiny");
  if (transport === "sse") {
    const leaving = new AbortController();
    const headers = { Authorization: `Bearer ${token}`, Accept: "text/event-stream" };
    const stream = await fetch(base + path, { headers, signal: leaving.signal });
    const first = await stream.body?.getReader().read();
    const endpoint = /data: (\S+)/.exec(new TextDecoder().decode(first?.value))?.[1] ?? "";
    const id = endpoint.slice(endpoint.indexOf("=") + 1);
    return {
      id,
      path: endpoint,
      post: (target, own, body = pingText) => post(base + target, own, body),
      leave: () => leaving.abort(),
    };
  }
  const clientInfo = { name: "session", version: "1" };
  const params = { protocolVersion, capabilities: {}, clientInfo };
  const opened = await post(base + path, token, requestText("legacy", "initialize", params));
  const id = opened.headers.get("mcp-session-id") ?? "";
  return {
    id,
    path,
    post: (target, own, body = pingText) =>
      post(base + target, own, body, { "Mcp-Session-Id": id }),
    leave: () => {},
  };
}

const pingText = requestText("legacy", "tools/list");

function postTo(
  stage: Stage,
  transport: Transport,
  sessionId: string | undefined,
  token: string,
): Promise<Response> {
  const url = stage.gateway.agents + pathOf(transport, "tiny");
  if (transport === "sse") return post(`${url}?sessionId=${sessionId}`, token, pingText);
  const header: Record<string, string> =
    sessionId === undefined ? {} : { "Mcp-Session-Id": sessionId };
  return post(url, token, pingText, header);
}

function post(
  url: string,
  token: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(url, {
    method: "POST",
    body,
    headers: {
      Authorization: `Bearer ${token}`,
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      ...headers,
    },
  });
}
