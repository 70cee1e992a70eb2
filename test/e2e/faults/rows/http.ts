/** Group TH of the catalogue: HTTP requests as no client library would send them, and headers that mislead. */
import { expect } from "bun:test";
import { connect } from "node:net";
import type { Row, Stage } from "../../../support/fault-suite.ts";
import { everywhere, secretText } from "../../../support/fault-suite.ts";
import { portOf, rawHttp, rawStatus } from "../../../support/raw-http.ts";
import { openRawWebSocket } from "../../../support/raw-websocket.ts";
import { callText, pathOf, type Transport, transports } from "../../../support/wires.ts";

const posted: readonly Transport[] = ["http-legacy", "http-modern", "sse"];
const good = callText("modern", { text: secretText });
const length = `Content-Length: ${good.length}`;
/** Bun closes the connection without a word for some of them. */
const refusedOrClosed = [400, 0];

interface RequestParts {
  readonly method?: string;
  readonly target?: string;
  readonly version?: string;
  readonly host?: string;
  readonly lines?: readonly string[];
  readonly body?: string;
}

/** A good modern call as bytes, with one thing wrong. */
function request(stage: Stage, parts: RequestParts = {}): string {
  const { method = "POST", target = "/tiny/mcp", version = "HTTP/1.1", body = good } = parts;
  const lines = [
    `${method} ${target} ${version}`,
    parts.host ?? `Host: ${new URL(stage.gateway.agents).host}`,
    `Authorization: Bearer ${stage.token}`,
    "Content-Type: application/json",
    "Accept: application/json, text/event-stream",
    "MCP-Protocol-Version: 2026-07-28",
    "Mcp-Method: tools/call",
    "Mcp-Name: echo",
    ...(parts.lines ?? [length]),
  ];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** One test: each of the named requests must end with one of the statuses. */
function rawRow(
  id: string,
  title: string,
  statuses: readonly number[],
  requests: Readonly<Record<string, RequestParts>>,
): Row {
  return {
    id,
    title,
    transports: posted,
    async run(stage, transport) {
      for (const [what, parts] of Object.entries(requests)) {
        const target = parts.target ?? pathOf(transport, "tiny");
        const answer = await rawStatus(stage.gateway.agents, request(stage, { ...parts, target }));
        expect(statuses, `${what}: ${answer.status} ${answer.body}`).toContain(answer.status);
      }
    },
  };
}

/** Opens, by HTTP or by upgrade, with some headers of its own. */
async function statusWith(
  stage: Stage,
  transport: Transport,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  const bearer = { Authorization: `Bearer ${stage.token}` };
  if (transport.startsWith("ws")) {
    const path = pathOf(transport, "tiny");
    const upgrade = await openRawWebSocket({
      base: stage.gateway.agents,
      path,
      headers: { ...bearer, ...headers },
    });
    if ("refusal" in upgrade) return upgrade.refusal.status;
    upgrade.webSocket[Symbol.dispose]();
    return 101;
  }
  const { Host, ...rest } = headers;
  const lines = Object.entries(rest).map(([name, value]) => `${name}: ${value}`);
  const parts = { target: pathOf(transport, "tiny"), lines: [length, ...lines] };
  const host = Host === undefined ? {} : { host: `Host: ${Host}` };
  return (await rawStatus(stage.gateway.agents, request(stage, { ...parts, ...host }))).status;
}

const chunked = "Transfer-Encoding: chunked";
const chunks = `${good.length.toString(16)}\r\n${good}\r\n0\r\n\r\n`;

export const httpRows: readonly Row[] = [
  {
    id: "TH-01",
    title: "an Origin that is not allowed",
    transports,
    async run(stage, transport) {
      const own = new URL(stage.gateway.agents);
      const origins = [
        "https://evil.example",
        "null",
        "https://app.example.evil.example",
        "https://xapp.example",
        "https://APP.example",
        "https://app.example:444",
        "http://app.example",
        "https://app.example/",
        `http://localhost:${own.port}`,
        "",
      ];
      for (const Origin of origins) {
        const status = await statusWith(stage, transport, { Origin, Cookie: "session=1" });
        expect(status, Origin).toBe(403);
      }
    },
  },
  {
    id: "TH-01",
    title: "an allowed Origin is answered by name, never with a wildcard",
    transports: ["http-modern"],
    reachesServer: true,
    async run(stage) {
      const lines = [length, "Origin: https://app.example"];
      const answer = await rawStatus(stage.gateway.agents, request(stage, { lines }));
      expect(answer.status).toBe(200);
      expect(answer.headers.get("access-control-allow-origin")).toBe("https://app.example");
      expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
    },
  },
  {
    id: "TH-02",
    title: "a Host that is not ours, whatever the Origin",
    transports,
    async run(stage, transport) {
      const hosts = [
        "evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "localhost.",
        "127.0.0.1.nip.io",
        "[::2]",
      ];
      for (const Host of hosts) {
        expect(await statusWith(stage, transport, { Host }), Host).toBe(403);
        const both = { Host, Origin: `http://${Host}` };
        expect(await statusWith(stage, transport, both), `${Host} as Origin`).toBe(403);
      }
    },
  },
  rawRow("TH-03", "framing that two parsers could read differently", refusedOrClosed, {
    "length and chunked": { lines: [length, chunked] },
    "chunked and length": { lines: [chunked, length], body: chunks },
    "two lengths": { lines: [length, "Content-Length: 3"] },
    "a list of lengths": { lines: [`${length}, 3`] },
    "a plus": { lines: [`Content-Length: +${good.length}`] },
    negative: { lines: ["Content-Length: -1"] },
    hexadecimal: { lines: ["Content-Length: 0x10"] },
    xchunked: { lines: ["Transfer-Encoding: xchunked"], body: chunks },
    "space before the colon": { lines: [`Content-Length : ${good.length}`] },
    "bare CR": { lines: [length, "X-A: a\rX-B: b"] },
    "folded line": { lines: [length, "X-A: a\r\n b"] },
    "line feed in a chunk extension": { lines: [chunked], body: `5;a\nb\r\nhello\r\n0\r\n\r\n` },
    "chunk size overflow": { lines: [chunked], body: `fffffffffffffffff\r\n${good}\r\n0\r\n\r\n` },
  }),
  rawRow("TH-04", "a length said twice", refusedOrClosed, {
    equal: { lines: [length, length] },
    listed: { lines: [`${length}, ${good.length}`] },
  }),
  rawRow("TH-04", "a body where there is none", refusedOrClosed, {
    GET: { method: "GET" },
    DELETE: { method: "DELETE" },
  }),
  rawRow("TH-05", "two names for one host", refusedOrClosed, {
    "two lines": { host: "Host: localhost\r\nHost: 127.0.0.1" },
    "the same twice": { host: "Host: localhost\r\nHost: localhost" },
    none: { host: "X-Host: localhost" },
    empty: { host: "Host:" },
  }),
  {
    id: "TH-05",
    // Bun drops the target's authority before we see it, so the request cannot be refused; it must not count either.
    title: "the name in an absolute target decides nothing: Host does",
    transports: posted,
    reachesServer: true,
    async run(stage, transport) {
      const target = `http://evil.example${pathOf(transport, "tiny")}`;
      const bytes = request(stage, { target });
      const refused = await rawStatus(stage.gateway.agents, bytes.replace(stage.token, "wrong"));
      expect(refused.status).toBe(401);
      expect(refused.headers.get("www-authenticate")).not.toContain("evil.example");
      const foreign = request(stage, { target, host: "Host: evil.example" });
      expect((await rawStatus(stage.gateway.agents, foreign)).status).toBe(403);
    },
  },
  rawRow("TH-06", "too much in the headers", [431, 413], {
    "17 KB": { lines: [length, `X-Long: ${"a".repeat(17 * 1024)}`] },
    "200 lines": { lines: [length, ...Array.from({ length: 200 }, (_, at) => `X-${at}: 1`)] },
  }),
  rawRow("TH-06", "bytes no header may hold", refusedOrClosed, {
    "8-bit credential": { lines: [length, "Authorization: Bearer caf\u00e9"] },
    NUL: { lines: [length, "X-A: a\0b"] },
  }),
  {
    id: "TH-08",
    title: "what is echoed cannot split the response",
    transports: ["http-modern"],
    reachesServer: true,
    async run(stage) {
      for (const value of ["caf\u00e9", "a b", "x".repeat(200), "<script>"]) {
        const lines = [length, `X-Request-ID: ${value}`];
        const bytes = Buffer.from(request(stage, { lines }), "latin1");
        const answer = await rawStatus(stage.gateway.agents, bytes);
        expect(answer.status).toBe(200);
        expect(answer.headers.get("x-request-id")).toMatch(/^[A-Za-z0-9._:~-]{1,128}$/);
      }
    },
  },
  {
    id: "TH-09",
    // Bun 1.4.5 closes a connection on which a second request comes before the first is answered.
    title: "pipelined requests are answered in order or not at all",
    transports: ["http-modern"],
    reachesServer: true,
    async run(stage) {
      const requests = Array.from({ length: 20 }, (_, at) => {
        const body = callText("modern", { id: at, text: `pipelined-${at}` });
        return request(stage, { body, lines: [`Content-Length: ${body.length}`] });
      });
      const answers = await rawHttp(stage.gateway.agents, requests.join(""), requests.length);
      const ids = answers.map((answer) => JSON.parse(answer.body).id);
      expect(ids).toEqual([...ids.keys()]);
    },
  },
  {
    id: "TH-09",
    title: "a client that resets in the middle of its body leaves nothing behind",
    transports: posted,
    async run(stage, transport) {
      const target = pathOf(transport, "tiny");
      const bytes = request(stage, { target, body: good.slice(0, 40) });
      for (let round = 0; round < 5; round += 1) {
        const socket = connect(portOf(stage.gateway.agents), "127.0.0.1");
        await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
        socket.resetAndDestroy();
      }
    },
  },
  rawRow("TH-10", "methods nobody serves", [405, 400], {
    TRACE: { method: "TRACE", lines: [], body: "" },
    CONNECT: { method: "CONNECT", lines: [], body: "" },
    PUT: { method: "PUT" },
    PATCH: { method: "PATCH" },
    PROPFIND: { method: "PROPFIND", lines: [], body: "" },
  }),
  {
    id: "TH-10",
    title: "a method override header overrides nothing",
    transports: ["http-modern"],
    reachesServer: true,
    async run(stage) {
      const lines = [length, "X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE"];
      const answer = await rawStatus(stage.gateway.agents, request(stage, { lines }));
      expect(answer.status).toBe(200);
      expect(answer.body).toContain(secretText);
    },
  },
  rawRow("TH-11", "other protocols on this port", [505, 400, 0], {
    "HTTP/9.9": { version: "HTTP/9.9" },
    "HTTP/1.0 chunked": { version: "HTTP/1.0", lines: [chunked], body: chunks },
    "no version": { version: "" },
  }),
  {
    id: "TH-11",
    title: "an HTTP/2 preface and a TLS hello on the plain port",
    transports: ["http-modern"],
    async run(stage) {
      const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
      expect([400, 505, 405, 0]).toContain((await rawStatus(stage.gateway.agents, preface)).status);
      const hello = Buffer.from("16030100050100000100\r\n\r\n".padEnd(64, "0"), "hex");
      expect([400, 0]).toContain((await rawStatus(stage.gateway.agents, hello)).status);
    },
  },
  {
    id: "TH-12",
    title: "a path that is not exactly ours is nobody's",
    transports: posted,
    async run(stage, transport) {
      const path = pathOf(transport, "tiny");
      const kind = path.slice("/tiny".length);
      const targets = [
        `/${path}`,
        `/tiny/${kind}`,
        `/tiny/..;${kind}`,
        `/%74iny${kind}`,
        `/tiny%2F${kind.slice(1)}`,
        `/tiny%5c${kind.slice(1)}`,
        `/tiny%00${kind}`,
        `/TINY${kind}`,
        `/tiny.${kind}`,
        `${path}/`,
        `${path};x=y`,
        `${path}%3Fa=b`,
        `${path}%23`,
        path.toUpperCase(),
      ];
      for (const target of targets) {
        const answer = await rawStatus(stage.gateway.agents, request(stage, { target }));
        expect([404, 400], `${target}: ${answer.body}`).toContain(answer.status);
      }
    },
  },
  {
    id: "TH-13",
    title: "headers of proxies we do not trust change nothing",
    transports: ["http-modern"],
    reachesServer: true,
    async run(stage) {
      const lines = [
        length,
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-Host: evil.example",
        "Forwarded: for=203.0.113.9;host=evil.example",
        "X-Original-URL: /other/mcp",
        "X-Rewrite-URL: /other/mcp",
      ];
      const answer = await rawStatus(stage.gateway.agents, request(stage, { lines }));
      expect(answer.status).toBe(200);
      const failing = request(stage, { lines }).replace(stage.token, "wrong");
      const refused = await rawStatus(stage.gateway.agents, failing);
      expect(refused.status).toBe(401);
      expect(refused.headers.get("www-authenticate")).not.toContain("evil.example");
    },
  },
  {
    id: "TH-14",
    title: "a name with an underscore is no header of ours, nor forwarded",
    transports: ["http-modern"],
    reachesServer: true,
    async run(stage) {
      const lines = [length, "x_forwarded_for: 203.0.113.9", "mcp_session_id: x", "x_role: admin"];
      const answer = await rawStatus(stage.gateway.agents, request(stage, { lines }));
      expect(answer.status).toBe(200);
      const names = [...(stage.upstream.seen.at(-1)?.headers.keys() ?? [])];
      expect(names.filter((name) => name.includes("_"))).toEqual([]);
      expect(names).not.toContain("x-role");
    },
  },
  {
    id: "TH-16",
    title: "an encoded question mark is part of the path, which is then nobody's",
    transports,
    async run(stage, transport) {
      const path = pathOf(transport, "tiny");
      for (const target of [`${path}%3f`, `${path}%3Faccess_token=x`, `${path}%23x`]) {
        const answer = await rawStatus(stage.gateway.agents, request(stage, { target }));
        expect(answer.status, target).toBe(404);
      }
    },
  },
  {
    id: "TH-17",
    title: "what a Connection header lists is removed after authentication, never before",
    transports: ["http-modern"],
    reachesServer: true,
    async run(stage) {
      const lines = [length, "Connection: authorization, x-tenant", "TE: trailers"];
      const answer = await rawStatus(stage.gateway.agents, request(stage, { lines }));
      expect(answer.status).toBe(200);
      const upgrade = [length, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"];
      const other = await rawStatus(stage.gateway.agents, request(stage, { lines: upgrade }));
      expect(other.status).not.toBe(101);
      expect(stage.upstream.seen.at(-1)?.headers.get("authorization")).toBeNull();
    },
  },
  {
    id: "TH-18",
    title: "an Accept that cannot take the answer",
    transports: ["http-legacy", "http-modern"],
    refused: Object.fromEntries(
      ["text/html", "application/json", "text/event-stream", "application/xml, text/plain"].map(
        (Accept) => [Accept, (body: string) => ({ body, headers: { Accept } })],
      ),
    ),
    refusal: everywhere(40600, 406),
  },
  {
    id: "TH-18",
    title: "on HTTP+SSE the stream must be acceptable",
    transports: ["sse"],
    async run(stage) {
      const parts = { method: "GET", target: "/tiny/sse", lines: [], body: "" };
      const text = request(stage, parts).replace(
        "application/json, text/event-stream",
        "text/html",
      );
      expect((await rawStatus(stage.gateway.agents, text)).status).toBe(406);
    },
  },
  {
    id: "TH-19",
    title: "a body that is not declared as JSON",
    transports: posted,
    refused: Object.fromEntries(
      [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "text/json",
        "",
      ].map((type) => [type, (body: string) => ({ body, headers: { "Content-Type": type } })]),
    ),
    refusal: everywhere(41500, 415),
    accepted: {
      "with a charset": {
        change: (body) => ({
          body,
          headers: { "Content-Type": "application/json; charset=utf-8" },
        }),
      },
    },
  },
  {
    id: "TH-20",
    title: "4 MiB + 1 is refused, declared or in chunks",
    transports: posted,
    async run(stage, transport) {
      const target = pathOf(transport, "tiny");
      const size = 4 * 1024 * 1024 + 1;
      const declared = { target, lines: [`Content-Length: ${size}`], body: "{" };
      const first = await rawStatus(stage.gateway.agents, request(stage, declared));
      expect(first.status).toBe(413);
      const body = `${size.toString(16)}\r\n${" ".repeat(size)}\r\n0\r\n\r\n`;
      const parts = { target, lines: [chunked], body };
      const second = await rawStatus(stage.gateway.agents, request(stage, parts));
      expect(second.status).toBe(413);
    },
    audit: { event: "traffic.rejected", reason: "payload-too-large" },
  },
];
