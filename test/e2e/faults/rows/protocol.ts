/** Group PR of the catalogue: messages that are not what the protocol says, from agents and from servers. */
import { expect } from "bun:test";
import { until } from "../../../support/deadline.ts";
import {
  type Acceptance,
  type Change,
  everywhere,
  type Row,
  type Stage,
} from "../../../support/fault-suite.ts";
import {
  callText,
  eraOf,
  mustOpenWire,
  requestText,
  type Transport,
  transports,
} from "../../../support/wires.ts";

const mebibyte = 1024 * 1024;
const invalidRequest = everywhere(-32600, 400);
const parseError = everywhere(-32700, 400);
const junk = { event: "traffic.rejected", reason: "invalid-request" };

const argumentsText = /"arguments":\{[^}]*\}/;
const withArguments =
  (text: string): Change =>
  (good) =>
    good.replace(argumentsText, () => `"arguments":${text}`);
const withId =
  (id: string): Change =>
  (good) =>
    good.replace('"id":1', () => `"id":${id}`);
const withMethod =
  (method: string): Change =>
  (good) =>
    good.replace('"tools/call"', () => JSON.stringify(method));
const swap =
  (from: string, to: string): Change =>
  (good) =>
    good.replace(from, () => to);
const kept = (text: string): Acceptance => ({ change: withArguments(text), forwarded: text });
const bytes =
  (...inserted: number[]): Change =>
  (good) => {
    const at = good.indexOf("hunter2");
    const parts = [good.slice(0, at), Uint8Array.from(inserted), good.slice(at)];
    return Buffer.concat(parts.map((part) => Buffer.from(part)));
  };

/** Arrays in arrays, inside the three objects of a call. */
const nested = (depth: number) => `{"text":${"[".repeat(depth - 3)}${"]".repeat(depth - 3)}}`;

function countNodes(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  return Object.values(value).reduce((sum: number, inner) => sum + countNodes(inner), 1);
}

/** A message of exactly so many values. */
const withNodes =
  (total: number): Change =>
  (good) => {
    const bare = good.replace(argumentsText, '"arguments":{"text":[]}');
    const missing = total - countNodes(JSON.parse(bare));
    return bare.replace('"text":[]', `"text":[${Array(missing).fill("1").join(",")}]`);
  };
const withMembers = (count: number) =>
  `{${Array.from({ length: count }, (_, at) => `"m${at}":1`).join(",")}}`;
/** A message of exactly so many bytes. */
const withBytes =
  (total: number): Change =>
  (good) =>
    good.replace("hunter2", () => `hunter2${"x".repeat(total - good.length)}`);

const unknownMethod = everywhere(-32601, 404, {
  "http-legacy": { code: -32601, status: 200 },
  sse: { code: -32601, status: 202 },
});
const unknownTool = everywhere(-32602, 200, { sse: { code: -32602, status: 202 } });
const badServer = everywhere(50201, 502, { sse: { code: 50201, status: 202 } });

export const protocolRows: readonly Row[] = [
  {
    id: "PR-01",
    title: "a member named twice is refused at any depth",
    transports,
    refused: {
      method: swap('"method":', '"method":"ping","method":'),
      "escaped name": swap('"name":', '"\\u006eame":"secret","name":'),
      id: swap('"id":1', '"id":1,"id":2'),
      "inside arguments": withArguments('{"a":{"b":1,"b":2}}'),
      "after escapes": withArguments('{"\\u0061":1,"a":2}'),
    },
    refusal: invalidRequest,
    audit: junk,
  },
  {
    id: "PR-02",
    title: "prototype names in arguments are plain text, forwarded as they are",
    transports,
    accepted: {
      __proto__: kept('{"__proto__":{"isAdmin":true},"text":"x"}'),
      constructor: kept('{"constructor":{"prototype":{"polluted":1}},"toString":1}'),
    },
  },
  {
    id: "PR-03",
    title: "twins of protocol names are refused, and untouched inside arguments",
    transports,
    refused: {
      Method: swap('"method":', '"Method":"ping","method":'),
      METHOD: swap('"method":', '"METHOD":"ping","method":'),
      "long s": swap('"params":', '"param\u017f":{},"params":'),
      "Name in params": swap('"name":', '"Name":"secret","name":'),
    },
    refusal: invalidRequest,
    accepted: { arguments: kept('{"Method":1,"NAME":2,"param\u017f":3,"\u212a":4}') },
  },
  {
    id: "PR-04",
    title: "arguments reach the server byte for byte",
    transports,
    accepted: {
      spacing: kept('{ "b" : [ 1 ,2,  3 ] , "a":"\\u0041\\/é" }'),
      order: kept('{"10":1,"9":2,"b":3,"a":4}'),
    },
  },
  {
    id: "PR-05",
    title: "nesting: 64 levels pass, 65 and 100,000 do not",
    transports,
    refused: {
      "65": withArguments(nested(65)),
      "100,000": withArguments(nested(100_000)),
      unclosed: () => "[".repeat(100_000),
    },
    refusal: invalidRequest,
    accepted: { "64": { change: withArguments(nested(64)) } },
  },
  {
    id: "PR-06",
    title: "values and members: the limit passes, one more does not",
    transports,
    refused: {
      "100,001 values": withNodes(100_001),
      "10,001 members": withArguments(withMembers(10_001)),
    },
    refusal: invalidRequest,
    accepted: {
      "100,000 values": { change: withNodes(100_000) },
      "10,000 members": { change: withArguments(withMembers(10_000)) },
    },
  },
  {
    id: "PR-07",
    title: "numbers keep their text; a fraction or an exponent is no id",
    transports,
    refused: {
      "1.0": withId("1.0"),
      "1e2": withId("1e2"),
      "1.5": withId("1.5"),
      "-0.0": withId("-0.0"),
    },
    refusal: invalidRequest,
    accepted: {
      "numbers in arguments": kept(`{"a":1e400,"b":-0,"c":${"9".repeat(400)},"d":1.0}`),
      "2^53 + 1 as id": { change: withId("9007199254740993"), answered: '"id":9007199254740993' },
    },
  },
  {
    id: "PR-08",
    title: "ids that are no ids",
    transports,
    refused: {
      null: withId("null"),
      object: withId("{}"),
      array: withId("[1]"),
      boolean: withId("true"),
      "empty string": withId('""'),
      "257 bytes": withId(`"${"i".repeat(257)}"`),
      NUL: withId('"a\\u0000b"'),
    },
    refusal: invalidRequest,
    accepted: {
      "256 bytes": {
        change: withId(`"${"i".repeat(256)}"`),
        answered: `"id":"${"i".repeat(256)}"`,
      },
    },
  },
  {
    id: "PR-08",
    title: "an id in flight is refused a second time and the first call lives on",
    transports: ["http-legacy", "ws-legacy", "ws-modern"],
    reachesServer: true,
    run: idInFlight,
  },
  {
    id: "PR-09",
    title: "bytes that are no UTF-8",
    transports,
    refused: {
      "invalid byte": bytes(0xff),
      overlong: bytes(0xc0, 0xaf),
      "lone surrogate": bytes(0xed, 0xa0, 0x80),
      "cut short": bytes(0xe2, 0x82),
    },
    refusal: everywhere(-32700, 400, {
      "ws-legacy": { closeCode: 1007 },
      "ws-modern": { closeCode: 1007 },
    }),
  },
  {
    id: "PR-09",
    title: "a byte order mark and UTF-16 are no JSON",
    transports,
    refused: {
      "byte order mark": (good) => Buffer.from(`\ufeff${good}`),
      "UTF-16": (good) => Buffer.from(good, "utf16le"),
    },
    refusal: parseError,
    audit: { event: "traffic.rejected", reason: "parse-error" },
  },
  {
    id: "PR-10",
    title: "anything but one JSON value",
    transports,
    refused: {
      "trailing data": (good) => `${good} x`,
      "two documents": (good) => good + good,
      comment: (good) => `/* hello */${good}`,
      NaN: withArguments('{"a":NaN}'),
      Infinity: withArguments('{"a":Infinity}'),
      "single quotes": (good) => good.replaceAll('"', "'"),
      "trailing comma": withArguments('{"a":1,}'),
      empty: () => "",
      whitespace: () => " \n\t ",
      "control character in a string": withArguments('{"a":"\u0001"}'),
    },
    refusal: parseError,
  },
  {
    id: "PR-11",
    title: "envelopes that are not JSON-RPC 2.0",
    transports,
    refused: {
      number: swap('"jsonrpc":"2.0"', '"jsonrpc":2.0'),
      missing: swap('"jsonrpc":"2.0",', ""),
      "1.0": swap('"2.0"', '"1.0"'),
      "method and result": swap('"method":', '"result":{},"method":'),
      "method and error": swap('"method":', '"error":{"code":1,"message":"x"},"method":'),
      neither: () => '{"jsonrpc":"2.0","id":1}',
      "a string": () => '"tools/call"',
    },
    refusal: invalidRequest,
  },
  {
    id: "PR-11",
    title: "a modern agent sends no responses",
    transports: ["http-modern", "ws-modern"],
    refused: { response: () => '{"jsonrpc":"2.0","id":1,"result":{}}' },
    refusal: invalidRequest,
  },
  {
    id: "PR-12",
    title: "headers that differ from the body",
    transports: ["http-modern"],
    refused: {
      method: (body) => ({ body, headers: { "Mcp-Method": "tools/list" } }),
      "method's case": (body) => ({ body, headers: { "Mcp-Method": "Tools/Call" } }),
      name: (body) => ({ body, headers: { "Mcp-Name": "secret" } }),
      "empty name": (body) => ({ body, headers: { "Mcp-Name": "" } }),
      version: (body) => ({ body, headers: { "MCP-Protocol-Version": "2025-11-25" } }),
      "bad base64": (body) => ({ body, headers: { "Mcp-Name": "=?base64?***?=" } }),
      "sentinel in capitals": (body) => ({ body, headers: { "Mcp-Name": "=?BASE64?ZWNobw==?=" } }),
      "base64 of another name": (body) => ({
        body,
        headers: { "Mcp-Name": "=?base64?c2VjcmV0?=" },
      }),
      "a second method": (body) => ({ body, headers: { "Mcp-Method": "tools/call, tools/call" } }),
    },
    refusal: everywhere(-32020, 400),
    accepted: {
      "base64 of the same name": {
        change: (body) => ({ body, headers: { "Mcp-Name": "=?base64?ZWNobw==?=" } }),
      },
    },
    audit: { event: "traffic.rejected", reason: "header-mismatch" },
  },
  {
    id: "PR-14",
    title: "a revision we do not speak",
    transports: ["http-modern", "ws-modern"],
    refused: Object.fromEntries(
      ["2099-01-01", "2025-11-25", "", "2026-07-28 "].map((version) => [
        `"${version}"`,
        (good: string) => ({
          body: good.replace('"2026-07-28"', `"${version}"`),
          headers: { "MCP-Protocol-Version": version.trim() === version ? version : "2026-07-29" },
        }),
      ]),
    ),
    refusal: (transport) =>
      transport === "http-modern" ? { status: 400 } : { code: -32022, closeCode: undefined },
  },
  {
    id: "PR-15",
    title: "an envelope of the wrong shape",
    transports: ["http-modern", "ws-modern"],
    refused: {
      "_meta is a list": (good) => good.replace(/"_meta":\{.*\}\}\}$/, '"_meta":[]}}'),
      "_meta is text": (good) => good.replace(/"_meta":\{.*\}\}\}$/, '"_meta":"x"}}'),
      "version is a number": swap('"2026-07-28"', "20260728"),
      "capabilities are a list": swap('clientCapabilities":{}', 'clientCapabilities":[]'),
      "client without a name": swap('"name":"bare-agent",', ""),
      "progress token is an object": swap('"_meta":{', '"_meta":{"progressToken":{},'),
    },
    refusal: everywhere(-32602, 400),
    audit: { event: "traffic.rejected", reason: "invalid-envelope" },
  },
  {
    id: "PR-15",
    title: "an envelope that is missing altogether",
    transports: ["http-modern"],
    refused: { missing: (good) => good.replace(/,"_meta":\{.*\}\}\}$/, "}}") },
    refusal: everywhere(-32602, 400),
  },
  {
    id: "PR-16",
    title: "methods nobody has",
    transports,
    refused: {
      unknown: withMethod("tools/nope"),
      "trailing space": withMethod("tools/call "),
      NUL: withMethod("tools/call\0"),
      toString: withMethod("toString"),
      __proto__: withMethod("__proto__"),
      empty: withMethod(""),
      "other case": withMethod("TOOLS/CALL"),
    },
    refusal: unknownMethod,
    audit: { event: "traffic.rejected", reason: "method-not-found" },
  },
  {
    id: "PR-16",
    title: "a method of 1 MiB",
    transports: ["http-legacy", "sse", "ws-legacy", "ws-modern"],
    refused: { "1 MiB": withMethod("m".repeat(mebibyte)) },
    refusal: unknownMethod,
  },
  {
    id: "PR-17",
    title: "a call without an id is not executed, nor is a server's notification",
    transports,
    async run(stage, transport) {
      await using wire = await stage.open(transport);
      const bare = callText(eraOf(transport)).replace('"id":1,', "");
      for (const text of [bare, bare.replace("tools/call", "notifications/tools/list_changed")]) {
        const answer = await wire.send(text, { isAnswered: false });
        expect(answer.text).not.toContain('"result"');
      }
    },
  },
  {
    id: "PR-18",
    title: "modern agents have POST only, and no session",
    transports: ["http-modern"],
    reachesServer: true,
    run: postOnly,
  },
  {
    id: "PR-19",
    title: "a call is cancelled by its own connection and by no other",
    transports: ["http-legacy", "sse", "ws-legacy", "ws-modern"],
    reachesServer: true,
    run: cancelling,
  },
  {
    id: "PR-21",
    title: "4 MiB is read whole, one byte more not at all",
    transports,
    refused: { "4 MiB + 1": withBytes(4 * mebibyte + 1) },
    refusal: everywhere(41301, 413, {
      "ws-legacy": { closeCode: 1009 },
      "ws-modern": { closeCode: 1009 },
    }),
    accepted: { "4 MiB": { change: withBytes(4 * mebibyte) } },
  },
  {
    id: "PR-21",
    title: "an encoded body is refused, decodable or not",
    transports: ["http-legacy", "http-modern", "sse"],
    refused: {
      gzip: (good) => ({
        body: Bun.gzipSync(Buffer.from(good)),
        headers: { "Content-Encoding": "gzip" },
      }),
      "gzip in name": (body) => ({ body, headers: { "Content-Encoding": "gzip" } }),
      "two encodings": (body) => ({ body, headers: { "Content-Encoding": "identity, br" } }),
    },
    refusal: everywhere(41500, 415),
  },
  {
    id: "PR-24",
    title: "a server may not ask for input the agent never declared",
    transports,
    reachesServer: true,
    refused: { sampling: swap('"echo"', '"asks-for-input"') },
    refusal: badServer,
  },
  {
    id: "PR-25",
    title: "a server's answer that is no answer is not delivered",
    transports,
    reachesServer: true,
    refused: Object.fromEntries(
      ["unknown-result-type", "both-outcomes", "code-is-text", "foreign-id"].map((name) => [
        name,
        swap('"echo"', `"${name}"`),
      ]),
    ),
    refusal: badServer,
  },
  {
    id: "PR-26",
    title: "a tool is never found by a name that only looks like its own",
    transports,
    refused: Object.fromEntries(
      [
        "\u0435cho",
        "\uff45cho",
        "ec\u200bho",
        "\u202eecho",
        "Echo",
        "echo ",
        "",
        "e".repeat(129),
      ].map((name) => [JSON.stringify(name.slice(0, 9)), swap('"echo"', JSON.stringify(name))]),
    ),
    refusal: unknownTool,
  },
  {
    id: "PR-27",
    title: "a server's name cannot hold the separator",
    transports: ["http-modern"],
    async run(stage) {
      for (const name of ["a__b", "A", "", "a_b", "-a", "a/b", "a".repeat(64), "all"]) {
        const refused = await stage.admin
          .call("ServerService", "RegisterServer", {
            server: {
              name,
              remote: { kind: "REMOTE_KIND_STREAMABLE_HTTP", url: stage.upstream.url },
            },
          })
          .then(
            () => undefined,
            (error: { code: number }) => error.code,
          );
        expect(refused, name).toBe(3);
      }
    },
  },
  {
    id: "PR-28",
    title: "trace headers are checked, and baggage stays here",
    transports: ["http-legacy", "http-modern", "sse", "ws-legacy", "ws-modern"],
    reachesServer: true,
    async run(stage, transport) {
      await using wire = await mustOpenWire(transport, {
        base: stage.gateway.agents,
        scope: "tiny",
        token: stage.token,
        headers: { traceparent: `00-${"z".repeat(300)}`, baggage: "user=alice@example.org" },
      });
      expect((await wire.send(callText(eraOf(transport)))).text).toContain('"result"');
      const received = stage.upstream.seen.at(-1)?.headers;
      expect(received?.get("baggage")).toBeNull();
      expect(received?.get("traceparent") ?? "").not.toContain("zzz");
    },
  },
];

async function idInFlight(stage: Stage, transport: Transport): Promise<void> {
  await using wire = await stage.open(transport);
  const era = eraOf(transport);
  const params = { name: "slow", arguments: { text: "first", delay_ms: 2_000 } };
  const first = wire.send(requestText(era, "tools/call", params, 7));
  const second = wire.send(callText(era, { id: 7, text: "second" }));
  const answers = await Promise.all([first, second]);
  const texts = answers.map((answer) => answer.text);
  expect(texts.filter((text) => text.includes('"first"'))).toHaveLength(1);
  expect(answers.filter((answer) => answer.code === -32600)).toHaveLength(1);
  expect(texts.join("")).not.toContain('"second"');
}

async function cancelling(stage: Stage, transport: Transport): Promise<void> {
  await using own = await stage.open(transport);
  await using foreign = await stage.open(transport);
  await using other = await stage.open(transport, stage.otherToken);
  const cancellation = JSON.stringify({
    jsonrpc: "2.0",
    method: "notifications/cancelled",
    params: { requestId: 5 },
  });
  const call = (delayMs: number) => {
    const params = { name: "slow", arguments: { text: "ran on", delay_ms: delayMs } };
    return own.send(requestText(eraOf(transport), "tools/call", params, 5));
  };
  const seenBefore = stage.upstream.seen.length;
  const cancelledBefore = stage.upstream.cancelled.length;
  const first = call(300);
  await until("the call at the server", () => stage.upstream.seen.length > seenBefore);
  for (const wire of [foreign, other]) await wire.send(cancellation, { isAnswered: false });
  expect((await first).text).toContain("ran on");
  expect(stage.upstream.cancelled.length).toBe(cancelledBefore);

  // What the second call comes to is nobody's any more: its wire closes with the test.
  call(20_000).catch(() => {});
  await until("the second call", () => stage.upstream.seen.length === seenBefore + 2);
  await own.send(cancellation, { isAnswered: false });
  await until("its cancellation", () => stage.upstream.cancelled.length > cancelledBefore);
}

async function postOnly(stage: Stage): Promise<void> {
  const url = `${stage.gateway.agents}/tiny/mcp`;
  const headers = {
    Authorization: `Bearer ${stage.token}`,
    "MCP-Protocol-Version": "2026-07-28",
    Accept: "text/event-stream",
    "Last-Event-ID": "1",
  };
  for (const method of ["GET", "DELETE"]) {
    const response = await fetch(url, { method, headers });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST");
  }
  await using wire = await stage.open("http-modern");
  const answer = await wire.send(callText("modern"), { headers: { "Mcp-Session-Id": "mine" } });
  expect(answer.text).toContain('"result"');
  expect(answer.headers.get("mcp-session-id")).toBeNull();
}
