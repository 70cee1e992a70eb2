/** Everything that is refused before a message exists, with raw bytes where a client library would tidy them up. */
import { describe, expect, test } from "bun:test";
import {
  legacyBody,
  modernBody,
  openSession,
  post,
  postModern,
  rawExchange,
  startAgents,
} from "../support/agents.ts";

const body = modernBody("tools/list");
const modernHead =
  "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n" +
  "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n";

function request(lines: string, options: { start?: string; host?: string; content?: string } = {}) {
  const content = options.content ?? body;
  const length = lines.toLowerCase().includes("length:")
    ? ""
    : `Content-Length: ${content.length}\r\n`;
  const host = options.host ?? "Host: localhost\r\n";
  return `${options.start ?? "POST /mcp HTTP/1.1"}\r\n${host}${length}${modernHead}${lines}\r\n${content}`;
}

const alice = "Authorization: Bearer alice\r\n";
const status = (received: string) => Number(received.split(" ")[1]);

describe("raw requests", () => {
  const rows: readonly [string, string, readonly number[]][] = [
    ["a proper one passes", request(alice), [200]],
    ["TH-01 foreign origin", request(`${alice}Origin: https://evil.example\r\n`), [403]],
    ["TH-01 null origin", request(`${alice}Origin: null\r\n`), [403]],
    ["TH-01 port variant", request(`${alice}Origin: http://localhost:81\r\n`), [403]],
    ["TH-01 upper case", request(`${alice}Origin: HTTP://LOCALHOST\r\n`), [403]],
    ["TH-01 twin subdomain", request(`${alice}Origin: https://app.example.evil.io\r\n`), [403]],
    ["TH-01 our own origin passes", request(`${alice}Origin: http://localhost\r\n`), [200]],
    ["TH-02 unknown host", request(alice, { host: "Host: evil.example\r\n" }), [403]],
    ["TH-02 rebinding name", request(alice, { host: "Host: localhost.evil.io\r\n" }), [403]],
    ["TH-02 trailing dot", request(alice, { host: "Host: localhost.\r\n" }), [403]],
    ["TH-02 unknown address", request(alice, { host: "Host: 10.0.0.1\r\n" }), [403]],
    [
      "TH-02 host is checked whatever the origin says",
      request(`${alice}Origin: https://app.example\r\n`, { host: "Host: evil.example\r\n" }),
      [403],
    ],
    ["TH-05 two hosts", request(alice, { host: "Host: localhost\r\nHost: localhost\r\n" }), [400]],
    ["TH-05 no host", request(alice, { host: "" }), [400]],
    [
      "TH-03 length and chunked",
      request(`${alice}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n`),
      [400],
    ],
    ["TH-03 signed length", request(`${alice}Content-Length: +4\r\n`), [400]],
    ["TH-03 space before colon", request(`${alice}X-Y : z\r\n`), [400]],
    [
      "TH-04 two equal lengths",
      request(`${alice}Content-Length: ${body.length}\r\nContent-Length: ${body.length}\r\n`),
      [400],
    ],
    [
      "TH-04 a length on GET",
      request(`${alice}Content-Length: 3\r\n`, { start: "GET /mcp HTTP/1.1", content: "abc" }),
      [400],
    ],
    ["TH-06 huge header", request(`${alice}X-Y: ${"z".repeat(20_000)}\r\n`), [431]],
    [
      "TH-06 bytes beyond ASCII in the credential",
      request("Authorization: Bearer \xe9\r\n"),
      [400],
    ],
    ["TH-10 TRACE", request(alice, { start: "TRACE /mcp HTTP/1.1", content: "" }), [405]],
    [
      "TH-10 CONNECT",
      request(alice, { start: "CONNECT /mcp HTTP/1.1", content: "" }),
      [400, 404, 405],
    ],
    ["TH-10 PUT", request(alice, { start: "PUT /mcp HTTP/1.1" }), [405]],
    [
      "TH-10 override headers change nothing",
      request(`${alice}X-HTTP-Method-Override: DELETE\r\n`),
      [200],
    ],
    ["TH-11 preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [0, 400, 505]],
    [
      "TH-18 accepts neither",
      request(alice).replace(/Accept: .*\r\n/, "Accept: text/html\r\n"),
      [406],
    ],
    [
      "TH-18 accepts half",
      request(alice).replace(/Accept: .*\r\n/, "Accept: application/json\r\n"),
      [406],
    ],
    ["TH-19 form", request(alice).replace("application/json\r\n", "text/plain\r\n"), [415]],
    [
      "TH-19 near miss",
      request(alice).replace("application/json\r\n", "application/json-patch+json\r\n"),
      [415],
    ],
    ["PR-21 compressed", request(`${alice}Content-Encoding: gzip\r\n`), [415]],
    ["AN-18 two credentials", request(`${alice}Authorization: Bearer bob\r\n`), [400]],
    ["AN-18 lower-case scheme passes", request("authorization: bearer alice\r\n"), [200]],
    ["AN-18 basic", request("Authorization: Basic YWxpY2U6\r\n"), [401]],
    ["AN-18 Bearer twice", request("Authorization: Bearer Bearer alice\r\n"), [401]],
    ["AN-02 cookie and identity headers", request("Cookie: t=alice\r\nX-User: alice\r\n"), [401]],
    [
      "AN-17 token in the query",
      request("", { start: "POST /mcp?access_token=alice HTTP/1.1" }),
      [401],
    ],
    [
      "AN-17 token in the query beside a good one",
      request(alice, { start: "POST /mcp?token=alice HTTP/1.1" }),
      [401],
    ],
    [
      "TH-14 underscores name no header",
      request("mcp_session_id: x\r\nauthorization_: Bearer alice\r\n"),
      [401],
    ],
  ];
  for (const [name, bytes, expected] of rows) {
    test(name, async () => {
      await using agents = await startAgents({ allowedOrigins: ["https://app.example"] });
      const received = await rawExchange(agents.port, Buffer.from(bytes, "latin1"));
      expect(expected).toContain(received === "" ? 0 : status(received));
    });
  }
});

describe("paths", () => {
  const unknown = [
    "//mcp",
    "/MCP",
    "/mcp/",
    "/mcp%2F",
    "/%6dcp",
    "/a/b/mcp",
    "/Notes/mcp",
    "/a_b/mcp",
    "/-a/mcp",
    "/notes;x=y/mcp",
    "/notes/mcp.",
    "/notes%00/mcp",
    "/sse",
    "/messages",
    "/admin",
    "/notes/invoke",
    `/${"a".repeat(64)}/mcp`,
  ];
  test("TH-12, TH-16, T03, T04, AZ-01: what is not in the table is not found, for everybody alike", async () => {
    await using agents = await startAgents();
    for (const path of unknown) {
      const received = await rawExchange(
        agents.port,
        request(alice, { start: `POST ${path} HTTP/1.1` }),
      );
      expect([path, status(received)]).toEqual([path, 404]);
    }
    expect(agents.dispatch.seen).toEqual([]);
  });

  test("TH-12: dots are folded before routing, so one form is routed and decided on", async () => {
    await using agents = await startAgents();
    await rawExchange(agents.port, request(alice, { start: "POST /a/%2e%2e/notes/mcp HTTP/1.1" }));
    expect(agents.dispatch.seen.map((one) => one.scope)).toEqual(["notes"]);
  });

  test("root, health and the protected-resource documents", async () => {
    await using agents = await startAgents();
    const get = (path: string) => fetch(agents.url + path);
    expect(await (await get("/")).json()).toMatchObject({ name: "mcp-gateway" });
    expect(await (await get("/health")).json()).toEqual({ status: "ok" });
    const document = await get("/.well-known/oauth-protected-resource/notes/mcp");
    expect(await document.json()).toMatchObject({ resource: `${agents.url}/notes/mcp` });
    const whole = await get("/.well-known/oauth-protected-resource");
    expect(await whole.json()).toMatchObject({ resource: `${agents.url}/mcp` });
    for (const path of ["/private/mcp", "/notes", "/health"]) {
      const missing = await get(`/.well-known/oauth-protected-resource${path}`);
      expect(missing.status).toBe(404);
    }
    expect((await get("/.well-known/oauth-authorization-server")).status).toBe(404);
  });
});

describe("credentials and browsers", () => {
  test("AN-24: 401 says where to log in and nothing more", async () => {
    await using agents = await startAgents();
    for (const response of [
      await postModern(agents, "tools/list", {}, { path: "/notes/mcp", token: "mallory" }),
      await post(agents, legacyBody("initialize"), { path: "/notes/mcp", token: null }),
    ]) {
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe(
        `Bearer resource_metadata="${agents.url}/.well-known/oauth-protected-resource/notes/mcp", error="invalid_token"`,
      );
      expect(await response.json()).toMatchObject({ error: { code: 40101 } });
    }
  });

  test("the caller is authenticated before the message is judged", async () => {
    await using agents = await startAgents();
    for (const text of ["{", "[]", '{"jsonrpc":"2.0"}', body]) {
      expect((await post(agents, text, { token: null })).status).toBe(401);
    }
    const headers = { "content-type": "text/plain" };
    expect((await post(agents, body, { token: null, headers })).status).toBe(401);
  });

  test("CORS is for allowed origins, and exposes what a browser client needs", async () => {
    await using agents = await startAgents({ allowedOrigins: ["https://app.example"] });
    const preflight = (origin: string) =>
      fetch(`${agents.url}/mcp`, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST" },
      });
    const allowed = await preflight("https://app.example");
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(allowed.headers.get("access-control-allow-headers")).toContain("Authorization");
    expect(allowed.headers.has("access-control-allow-credentials")).toBe(false);
    const refused = await preflight("https://evil.example");
    expect(refused.status).toBe(403);
    expect(refused.headers.has("access-control-allow-origin")).toBe(false);
    const headers = { origin: "https://app.example" };
    const answer = await postModern(agents, "tools/list", {}, { headers, token: null });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("access-control-expose-headers")).toContain("WWW-Authenticate");
  });

  test("TH-13: forwarded addresses count behind trusted proxies only", async () => {
    const headers = { "x-forwarded-for": "6.6.6.6, 9.9.9.9, 10.0.0.7" };
    await using plain = await startAgents();
    await postModern(plain, "tools/list", {}, { headers });
    expect(plain.dispatch.seen[0]?.peer.address).toBe("127.0.0.1");
    await using behind = await startAgents({ trustedProxies: ["127.0.0.1", "10.0.0.0/8"] });
    await postModern(behind, "tools/list", {}, { headers });
    expect(behind.dispatch.seen[0]?.peer.address).toBe("9.9.9.9");
  });
});

describe("bounds", () => {
  test("TH-20: a body over the limit is refused, declared or chunked", async () => {
    await using agents = await startAgents({ bodyBytesMax: 1_000 });
    const large = modernBody("tools/call", { name: "echo", arguments: { a: "x".repeat(2_000) } });
    const declared = await post(agents, large);
    expect(declared.status).toBe(413);
    expect(await declared.json()).toMatchObject({
      error: { code: 41301, data: { bytesMax: 1000 } },
    });
    const chunk = `800\r\n${"x".repeat(2_048)}\r\n`;
    const chunked = request(`${alice}Transfer-Encoding: chunked\r\nX-Length: 1\r\n`, {
      content: chunk,
    });
    expect(status(await rawExchange(agents.port, chunked))).toBe(413);
  });

  test("a chunked body within the limit is read whole", async () => {
    await using agents = await startAgents();
    const chunks = [body.slice(0, 10), body.slice(10)].map(
      (part) => `${part.length.toString(16)}\r\n${part}\r\n`,
    );
    const content = `${chunks.join("")}0\r\n\r\n`;
    const bytes = request(`${alice}Transfer-Encoding: chunked\r\nX-Length: 1\r\n`, { content });
    expect(status(await rawExchange(agents.port, bytes))).toBe(200);
  });

  test("PR-01, PR-05, PR-09, PR-10, PR-11: what is no proper message is answered without being run", async () => {
    await using agents = await startAgents();
    const rows: readonly [string | Uint8Array<ArrayBuffer>, number][] = [
      ["", -32700],
      ["   ", -32700],
      ["{} {}", -32700],
      ["{'a':1}", -32700],
      ["\ufeff{}", -32700],
      [new Uint8Array([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x7d]), -32700],
      ["[]", -32600],
      ['{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600],
      ['{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}', -32600],
      ['{"jsonrpc":"2.0","id":1,"\\u006dethod":"ping","method":"ping"}', -32600],
      ['{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600],
      ['{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600],
      [`${"[".repeat(100_000)}`, -32600],
    ];
    for (const [text, code] of rows) {
      const response = await post(agents, text);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { code } });
    }
    expect(agents.dispatch.seen.every((one) => one.message.kind === "malformed")).toBe(true);
  });

  test("PR-07: ids come back byte for byte", async () => {
    await using agents = await startAgents();
    for (const id of ["9007199254740993", '"a\\u0062"', "-1", '"1"']) {
      const text = modernBody("tools/list").replace('"id":1', `"id":${id}`);
      const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list" };
      const answer = await (await post(agents, text, { headers })).text();
      expect(answer).toContain(`"id":${id},`);
    }
  });

  test("TH-07: open places are bounded for all and for one address, and are given back", async () => {
    await using agents = await startAgents({ connectionsPerPeerMax: 1 });
    const id = await openSession(agents);
    const gone = new AbortController();
    const stream = await fetch(`${agents.url}/mcp`, {
      signal: gone.signal,
      headers: {
        authorization: "Bearer alice",
        accept: "text/event-stream",
        "mcp-session-id": id,
      },
    });
    expect(stream.status).toBe(200);
    const refused = await postModern(agents, "tools/list");
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("1");
    gone.abort();
    for (let answer = refused; answer.status !== 200; )
      answer = await postModern(agents, "tools/list");
    await using full = await startAgents({ connectionsMax: 0 });
    expect((await postModern(full, "tools/list")).status).toBe(503);
  });

  test("TH-09: pipelined requests are answered in order", async () => {
    await using agents = await startAgents();
    const one = (id: number) => request(alice, { content: modernBody("tools/list", {}, id) });
    const many = Array.from({ length: 50 }, (_, at) => one(at + 100)).join("");
    const received = await rawExchange(agents.port, many, (text) => text.includes('"id":149,'));
    const ids = [...received.matchAll(/"id":(1[0-9]{2}),/g)].map((match) => Number(match[1]));
    expect(ids).toEqual(Array.from({ length: 50 }, (_, at) => at + 100));
  });
});
