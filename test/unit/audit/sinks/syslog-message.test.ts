/**
 * RFC 5424 messages and their frames.
 */
import { expect, test } from "bun:test";
import type { SinkLine } from "../../../../src/audit/sinks/sink.ts";
import { frameOctets, renderSyslog } from "../../../../src/audit/sinks/syslog-message.ts";

const line: SinkLine = {
  seq: 7,
  text: '{"tool_name":"añb"}',
  short: "{}",
  timeMs: Date.UTC(2026, 10, 21, 16, 41, 5, 7),
  level: "warn",
  eventType: "policy_violation",
};
const origin = { facility: 13, hostname: "gw-1.example", processId: 42 };

test("the head names priority, time, host, process and event; the message is ASCII", () => {
  expect(renderSyslog(line, line.text, origin)).toBe(
    '<108>1 2026-11-21T16:41:05.007Z gw-1.example mcp-gateway 42 policy_violation - {"tool_name":"a\\u00f1b"}',
  );
});

test.each([
  ["info", 110],
  ["warn", 108],
  ["error", 107],
] as const)("level %s has priority %d", (level, priority) => {
  expect(renderSyslog({ ...line, level }, "{}", origin)).toStartWith(`<${priority}>1 `);
});

test("ST-24: a host or event with blanks or line breaks cannot shift the fields", () => {
  const hostile = { ...origin, hostname: "a b\n<1>1 é" };
  const message = renderSyslog({ ...line, eventType: " " }, "{}", hostile);
  expect(message.split(" ").slice(2, 7)).toEqual(["ab<1>1", "mcp-gateway", "42", "-", "-"]);
});

test("frames count octets", () => {
  expect(frameOctets("<1>1 x")).toBe("6 <1>1 x");
});
