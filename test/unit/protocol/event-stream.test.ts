import { describe, expect, test } from "bun:test";
import {
  createEventParser,
  EventStreamError,
  renderEvent,
} from "../../../src/protocol/event-stream.ts";

function parseAll(chunks: readonly string[], lineBytesMax = 1000) {
  const events: { type: string; text: string; id: string | undefined }[] = [];
  const retries: number[] = [];
  const parser = createEventParser({
    lineBytesMax,
    onEvent: (event) => events.push(event),
    onRetry: (ms) => retries.push(ms),
  });
  for (const chunk of chunks) parser.push(chunk);
  return { events, retries };
}

describe("event stream", () => {
  const stream =
    "\ufeffevent: endpoint\rdata: /x\r\r\n: comment\nid: 7\ndata: a\ndata:b\r\n\r\nretry: 250\ndata\n\n";
  const expected = [
    { type: "endpoint", text: "/x", id: undefined },
    { type: "message", text: "a\nb", id: "7" },
    { type: "message", text: "", id: "7" },
  ];

  test("TS-03: parses CR, LF, CRLF, comments, ids and retry", () => {
    expect(parseAll([stream])).toEqual({ events: expected, retries: [250] });
  });

  test("TS-03: chunk boundaries never matter", () => {
    for (let at = 1; at < stream.length; at += 1) {
      expect(parseAll([stream.slice(0, at), stream.slice(at)]).events).toEqual(expected);
    }
    expect(parseAll([...stream]).events).toEqual(expected);
  });

  test("TS-03: an event whose last line ends in a lone CR does not wait for more", () => {
    const { events } = parseAll(["data: a\r\r"]);
    expect(events).toEqual([{ type: "message", text: "a", id: undefined }]);
  });

  test("TS-03: a line or an event over the bound is an error", () => {
    expect(() => parseAll(["data: ", "x".repeat(600), "y".repeat(600)])).toThrow(EventStreamError);
    expect(() => parseAll([`data: ${"x".repeat(700)}\n`.repeat(2)])).toThrow(EventStreamError);
  });

  test("TS-03: what is over the bound is so wherever the stream is cut", () => {
    for (const [text, isWithin] of [
      ["data: 12345", true],
      ["data: 123456", false],
    ] as const) {
      const whole = `${text}\n\n`;
      for (let at = 0; at <= whole.length; at += 1) {
        const parse = () => parseAll([whole.slice(0, at), whole.slice(at)], "data: 12345".length);
        if (isWithin) expect(parse().events).toHaveLength(1);
        else expect(parse).toThrow(EventStreamError);
      }
    }
  });

  test("TH-08: rendering keeps line breaks inside the event", () => {
    const text = "a\n\nevent: forged\r\ndata: b";
    const { events } = parseAll([renderEvent({ id: "1", text })]);
    expect(events).toEqual([{ type: "message", text: "a\n\nevent: forged\ndata: b", id: "1" }]);
  });
});
