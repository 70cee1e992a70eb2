/** What one answer to the probe proves, and when it is asked again. */
import { describe, expect, test } from "bun:test";
import { readObject } from "../../../src/protocol/json-view.ts";
import { judgeProbe, probeEra } from "../../../src/servers/era.ts";
import {
  cancelled,
  connectionLost,
  failed,
  invalidAnswer,
  timedOut,
  unreachable,
} from "../../../src/servers/faults.ts";
import type { Wire, WireAnswer } from "../../../src/servers/wire.ts";

const discovered = '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}';
const result = (text: string): WireAnswer => ({ kind: "result", body: readObject(text) });
const error = (code: number, status: number | undefined, data = ""): WireAnswer => ({
  kind: "error",
  body: readObject(`{"code":${code},"message":"m"${data && `,"data":${data}`}}`),
  status,
});

test.each<[string, WireAnswer, boolean, "modern" | "legacy" | "none"]>([
  ["a discover result", result(discovered), false, "modern"],
  ["some other result", result("{}"), false, "legacy"],
  ["only older revisions", result('{"supportedVersions":["2025-11-25"]}'), true, "legacy"],
  ["only newer revisions", result('{"supportedVersions":["2027-01-01"]}'), true, "none"],
  ["unknown method", error(-32601, 200), false, "legacy"],
  ["not initialized", error(-32000, 400), false, "legacy"],
  ["unknown method on a channel", error(-32601, undefined), true, "legacy"],
  [
    "version error with older ones",
    error(-32022, 400, '{"supported":["2025-06-18"]}'),
    false,
    "legacy",
  ],
  ["version error", error(-32022, 400, '{"supported":["2027-01-01"]}'), false, "none"],
  ["401", error(1, 401), false, "none"],
  ["503", failed(invalidAnswer("s", "x"), true, 503), false, "none"],
  ["429", failed(invalidAnswer("s", "x"), false, 429), false, "none"],
  ["redirect", failed(invalidAnswer("s", "x"), true, 307), false, "none"],
  ["400 with nothing", failed(invalidAnswer("s", "x"), false, 400), false, "legacy"],
  ["405", failed(invalidAnswer("s", "x"), false, 405), false, "legacy"],
  ["silence over HTTP", failed(timedOut("s", 1), true), false, "none"],
  ["silence on a channel", failed(timedOut("s", 1), true), true, "legacy"],
  ["hanging up over HTTP", failed(connectionLost("s", "x"), true), false, "none"],
  ["hanging up on a channel", failed(connectionLost("s", "x"), true), true, "legacy"],
  ["unreachable", failed(unreachable("s", "x"), false), true, "none"],
  ["we gave up", failed(cancelled, true), true, "none"],
])("%s", (_name, answer, isShared, expected) => {
  const judge = () => judgeProbe(answer, "s", isShared).era;
  if (expected === "none") expect(judge).toThrow();
  else expect(judge()).toBe(expected);
});

test("a discover result becomes facts", () => {
  const meta = '{"io.modelcontextprotocol/serverInfo":{"name":"n","version":"1"}}';
  const text = `{"supportedVersions":["2026-07-28"],"capabilities":{"a":1},"instructions":"i","_meta":${meta}}`;
  expect(judgeProbe(result(text), "s", false)).toEqual({
    era: "modern",
    facts: {
      era: "modern",
      revision: "2026-07-28",
      capabilitiesText: '{"a":1}',
      instructions: "i",
      serverInfoText: '{"name":"n","version":"1"}',
    },
  });
});

describe("a version error that offers the revision we asked in", () => {
  const refusal = error(-32022, 400, '{"supported":["2026-07-28"],"requested":"2026-07-28"}');

  /** Gives the answers in turn and says how often it was asked. */
  async function probe(...answers: readonly WireAnswer[]) {
    let asked = 0;
    const wire: Wire = {
      nextId: () => asked + 1,
      request: async () => answers[asked++] ?? result("{}"),
      notify: async () => {},
      respond: async () => {},
      retire() {},
      isOpen: () => true,
      close: async () => {},
    };
    const signal = new AbortController().signal;
    const own = { ownInfoText: "{}", clientCapabilitiesText: "{}" };
    const options = { server: "s", ...own, timeoutMs: 1000, signal, isShared: false };
    const era = await probeEra(wire, options).then(
      (verdict) => verdict.era,
      () => "none",
    );
    return { era, asked };
  }

  test("is answered with one more try", async () => {
    expect(await probe(refusal, result(discovered))).toEqual({ era: "modern", asked: 2 });
  });

  test("is believed the second time", async () => {
    expect(await probe(refusal, refusal)).toEqual({ era: "none", asked: 2 });
  });

  test("is no other error", async () => {
    expect(await probe(error(-32601, 404))).toEqual({ era: "legacy", asked: 1 });
  });
});
