import { expect, test } from "bun:test";
import { checkBodyHeaders, readAccept, readBody } from "../../../src/agents/body.ts";

test("TH-18: what Accept allows", () => {
  const rows: readonly [string | null, boolean, boolean][] = [
    [null, true, true],
    ["application/json, text/event-stream", true, true],
    ["text/event-stream;q=0.5 , Application/JSON", true, true],
    ["*/*", true, true],
    ["text/*, application/*", true, true],
    ["application/json", true, false],
    ["text/event-stream", false, true],
    ["application/json-patch", false, false],
    ["", false, false],
  ];
  for (const [header, json, stream] of rows) expect(readAccept(header)).toEqual({ json, stream });
});

test("TH-19, PR-21: what the body may be", () => {
  const rows: readonly [Record<string, string>, boolean][] = [
    [{ "content-type": "application/json" }, true],
    [{ "content-type": "Application/JSON; charset=utf-8" }, true],
    [{ "content-type": "application/json", "content-encoding": "identity" }, true],
    [{}, false],
    [{ "content-type": "text/plain" }, false],
    [{ "content-type": "application/json", "content-encoding": "gzip" }, false],
  ];
  for (const [headers, isFine] of rows) {
    expect(checkBodyHeaders(new Headers(headers)) === undefined).toBe(isFine);
  }
});

test("TH-20: a chunked body is read up to its bound and no further", async () => {
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += 1;
      controller.enqueue(new Uint8Array(100));
    },
  });
  const request = new Request("http://h/", { method: "POST", body: endless });
  expect(await readBody(request, 1_000)).toMatchObject({ fault: { name: "payload-too-large" } });
  expect(pulled).toBeLessThan(15);
});
