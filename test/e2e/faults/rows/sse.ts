/** Group TS of the catalogue: event streams that servers spoil, and streams of agents that are somebody else's. */
import { expect } from "bun:test";
import { everywhere, type Row, secretText } from "../../../support/fault-suite.ts";
import type { Script } from "../../../support/scripted-server.ts";
import { callText, eraOf, transports } from "../../../support/wires.ts";

const meta = '"resultType":"complete"';
const resultOf = (id: string | number, text: string) =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":[{"type":"text","text":${JSON.stringify(text)}}],${meta}}}`;
const events = (body: string | ReadableStream) =>
  new Response(body, { headers: { "Content-Type": "text/event-stream" } });

/** A stream that begins and never ends; what is left of it is dropped with its caller. */
function endless(first: string, more: string | undefined): Response {
  let timer: ReturnType<typeof setInterval> | undefined;
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      const push = (text: string) => controller.enqueue(Buffer.from(text));
      push(first);
      if (more !== undefined) timer = setInterval(() => push(more), 50);
    },
    cancel: () => clearInterval(timer),
  });
  return events(stream);
}

const progress =
  '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"x","progress":1}}';
const request = '{"jsonrpc":"2.0","id":99,"method":"sampling/createMessage","params":{}}';
const twelveMiB = 12 * 1024 * 1024;

/** What the server behind these rows answers, by tool. */
export const streamScripts: Readonly<Record<string, Script>> = {
  "spoilt-fields": (id) =>
    events(
      `\ufeffretry: 0\r\nid: 1\r\nevent: message\r\n: a comment\r\ndata: ${resultOf(id, "spoilt\n\nid: 9\nevent: x")}\r\n\r\n`,
    ),
  "lone-returns": (id) => events(`event: message\rdata: ${resultOf(id, "lone")}\r\r`),
  "several-lines": (id) => {
    const [head, tail] = resultOf(id, "lines").split(',"result"');
    return events(`data: ${head}\ndata: ,"result"${tail}\n\n`);
  },
  "huge-line": (id) => events(`data: ${resultOf(id, "x".repeat(twelveMiB))}\n\n`),
  "no-newline": () => events("d".repeat(twelveMiB)),
  "no-answer": () => events(": only a comment\n\n"),
  "broken-json": () => events("data: {not json\n\n"),
  "strays-only": () => events(`data: ${resultOf("never-asked", "stray")}\n\n`),
  silent: () => endless(": hello\n\n", undefined),
  "only-comments": () => endless(": hello\n\n", ": still here\n\n"),
  "foreign-traffic": (id) =>
    events(
      [request, resultOf("never-asked", "stray"), progress, resultOf(id, "the first")]
        .map((text) => `data: ${text}\n\n`)
        .join(""),
    ),
  "two-finals": (id) =>
    events(
      [resultOf(id, "the first"), resultOf(id, "the second"), progress]
        .map((text) => `data: ${text}\n\n`)
        .join(""),
    ),
};

const badAnswer = everywhere(50201, 502, { sse: { code: 50201, status: 202 } });
const late = everywhere(50401, 504, { sse: { code: 50401, status: 202 } });
const tool = (name: string) => (good: string) => good.replace('"echo"', `"${name}"`);

/** The only ones that wait for the deadline of a call, which is short for them alone. */
export const endlessRows: readonly Row[] = [
  {
    id: "TS-04",
    title: "a stream that never ends, silent or chatting, ends at the deadline",
    transports,
    reachesServer: true,
    refused: { silent: tool("silent"), "only comments": tool("only-comments") },
    refusal: late,
  },
];

export const sseRows: readonly Row[] = [
  {
    id: "TS-03",
    title: "fields and lines of a server's stream are read, never passed on",
    transports,
    reachesServer: true,
    async run(stage, transport) {
      await using wire = await stage.open(transport);
      const wanted = {
        "spoilt-fields": "spoilt",
        "lone-returns": "lone",
        "several-lines": "lines",
      };
      for (const [name, text] of Object.entries(wanted)) {
        const answer = await wire.send(callText(eraOf(transport), { name, text: secretText }));
        expect(JSON.parse(answer.text).result?.content[0].text, answer.text).toStartWith(text);
      }
    },
  },
  {
    id: "TS-03",
    title: "a line without end, or a line that is no message, is a bad answer",
    transports,
    reachesServer: true,
    refused: Object.fromEntries(
      ["huge-line", "no-newline", "broken-json", "strays-only"].map((name) => [name, tool(name)]),
    ),
    refusal: badAnswer,
  },
  {
    id: "TS-03",
    title: "a stream that ends without an answer is a lost server",
    transports,
    reachesServer: true,
    refused: { "no answer": tool("no-answer") },
    refusal: everywhere(50202, 502, { sse: { code: 50202, status: 202 } }),
  },
  {
    id: "TS-05",
    title: "requests, strays and second answers on a server's stream reach nobody",
    transports,
    reachesServer: true,
    async run(stage, transport) {
      await using wire = await stage.open(transport);
      for (const name of ["foreign-traffic", "two-finals"]) {
        const answer = await wire.send(callText(eraOf(transport), { name }));
        expect(answer.text, name).toContain("the first");
        expect(answer.text, name).not.toContain("stray");
        expect(answer.text, name).not.toContain("sampling");
      }
      const next = await wire.send(callText(eraOf(transport), { id: 2, text: "the next" }));
      expect(next.text).toContain("the next");
    },
  },
  {
    id: "TS-09",
    title: "messages for a stream come from its owner alone",
    transports: ["sse"],
    async run(stage) {
      const url = `${stage.gateway.agents}/tiny/sse`;
      const headers = { Authorization: `Bearer ${stage.token}`, Accept: "text/event-stream" };
      const leaving = new AbortController();
      const stream = await fetch(url, { headers, signal: leaving.signal });
      const first = await stream.body?.getReader().read();
      const endpoint = /data: (\S+)/.exec(new TextDecoder().decode(first?.value))?.[1] ?? "";
      const ask = (path: string, token: string) =>
        fetch(stage.gateway.agents + path, {
          method: "POST",
          body: callText("legacy"),
          headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        });
      expect((await ask(endpoint, stage.otherToken)).status).toBe(404);
      expect((await ask(endpoint, "wrong")).status).toBe(401);
      expect((await ask(`${endpoint}x`, stage.token)).status).toBe(404);
      expect((await ask("/tiny/sse?sessionId=", stage.token)).status).toBe(404);
      expect((await ask(endpoint.replace("/tiny", "/all"), stage.token)).status).toBe(404);
      leaving.abort();
    },
  },
];
