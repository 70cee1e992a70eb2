/** PR-28: what of a trace goes on to servers. */
import { expect, test } from "bun:test";
import { traceCall } from "../../../src/pipeline/trace-context.ts";
import { objectText } from "../../../src/protocol/json-view.ts";
import type { McpRequest } from "../../../src/protocol/messages.ts";
import { parseMessage } from "../../../src/protocol/parse-message.ts";
import { defaultScanLimits } from "../../../src/protocol/scan.ts";

const trace = "0af7651916cd43dd8448eb211c80319c";
const other = "1af7651916cd43dd8448eb211c80319c";
const parent = `00-${trace}-b7ad6b7169203331-01`;
const child = new RegExp(`^00-${trace}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`);
const none = { traceparent: undefined };

function requestOf(metaText: string | undefined): McpRequest {
  const params = metaText === undefined ? '{"name": "x"}' : `{"name": "x","_meta":${metaText}}`;
  const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`;
  const message = parseMessage(text, defaultScanLimits);
  if (message.kind !== "request") throw new Error(text);
  return message;
}

test.each([undefined, "{}", '{"a":"traceparent"}'])("no trace in %s: the very request", (meta) => {
  const request = requestOf(meta);
  const traced = traceCall(none, request, []);
  expect(traced.request).toBe(request);
  expect(traced.headers).toEqual({});
});

test("a header becomes a header with a span of its own, and the body stays", () => {
  const request = requestOf('{"a": 1}');
  const incoming = { traceparent: parent, tracestate: "v=1", baggage: "user=alice" };
  const traced = traceCall(incoming, request, []);
  expect(traced.request).toBe(request);
  expect(traced.headers).toEqual({
    traceparent: expect.stringMatching(child),
    tracestate: "v=1",
  });
});

test("a trace in _meta goes on in both, and wins over the headers of a socket", () => {
  const request = requestOf(`{"a": 1e400,"traceparent":"${parent}","tracestate":"v=1"}`);
  const upgrade = { traceparent: `00-${other}-b7ad6b7169203331-01`, tracestate: "w=1" };
  const traced = traceCall(upgrade, request, []);
  const { traceparent } = traced.headers;
  expect(traceparent).toMatch(child);
  expect(traced.headers.tracestate).toBe("v=1");
  expect(traced.request.params && objectText(traced.request.params)).toBe(
    `{"name": "x","_meta":{"a": 1e400,"traceparent":"${traceparent}","tracestate":"v=1"}}`,
  );
});

test.each([
  `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
  `00-${trace}-${"0".repeat(16)}-01`,
  `00-${trace}-b7ad6b7169203331-01\\r\\nx: y`,
  "x".repeat(100_000),
])("PR-28: what is no trace is dropped", (traceparent) => {
  const request = requestOf(`{"traceparent":"${traceparent}","tracestate":"v=1","baggage":"a=1"}`);
  const traced = traceCall({ traceparent }, request, []);
  expect(traced.headers).toEqual({});
  expect(traced.request.params && objectText(traced.request.params)).toBe(
    '{"name": "x","_meta":{}}',
  );
});

test.each([
  [[], "user=alice, tenant = t1;p=1", undefined],
  [["tenant"], "user=alice, tenant = t1;p=1", "tenant = t1;p=1"],
  [["user", "tenant"], "user=alice, tenant = t1;p=1", "user=alice, tenant = t1;p=1"],
  [["user"], "username=alice", undefined],
  [["user"], `user=${"x".repeat(10_000)}`, undefined],
  [["user"], "user=a\\u000d\\u000ab", undefined],
])("PR-28: baggage with %j allowed", (allowed, given, kept) => {
  const request = requestOf(`{"baggage":"${given}"}`);
  expect(traceCall(none, request, allowed).headers).toEqual(
    kept === undefined ? {} : { baggage: kept },
  );
});
