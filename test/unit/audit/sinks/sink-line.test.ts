/**
 * What a line holds (D02, D03, D05), and that nothing anybody wrote into a record breaks out of it (ST-24).
 */
import { expect, test } from "bun:test";
import { toGapLine, toSinkLine } from "../../../../src/audit/sinks/sink-line.ts";
import { openSpooledLog } from "../../../support/spooled-log.ts";

const token = "0123456789abcdef0123456789abcdef";

async function lineOf(facts: Parameters<Awaited<ReturnType<typeof openSpooledLog>>["append"]>[0]) {
  await using log = await openSpooledLog();
  await log.append(facts);
  const record = (await log.read()).at(-1);
  if (record === undefined) throw new Error("nothing was recorded");
  const line = toSinkLine({ ...record, details: sealedPart });
  if (line === undefined) throw new Error("no line was made");
  return { record, line, value: JSON.parse(line.text) };
}

const sealedPart = JSON.stringify({
  v: 1,
  subject: "0011223344556677",
  class: "8899aabbccddeeff",
  salt: token,
  tokens: { principal: token },
  sealed: "AAAA",
});

test("D02, D03: the names that log pipelines look for, and the record's place", async () => {
  const { record, line, value } = await lineOf({
    correlationId: "c-1",
    method: "tools/call",
    scope: "calc",
    decision: "allow-math",
    durationUs: 1500,
    resultBytes: 12,
  });
  expect(value).toMatchObject({
    level: "info",
    logger: "mcp_gateway.audit",
    event_type: "mcp_request",
    event: "call.outcome",
    request_id: "c-1",
    user_id: token,
    action: "tools/call",
    mcp_server: "calc",
    tool_name: "add",
    endpoint_path: "/calc",
    status: "success",
    policy_decision: "allow",
    policy_rule: "allow-math",
    duration_ms: 1.5,
    response_status: 200,
    seq: record.seq,
    leaf: record.leaf,
    facts: { resultBytes: 12 },
  });
  expect(new Date(value.timestamp).getTime()).toBe(line.timeMs);
  expect(line.seq).toBe(record.seq);
});

test("a rule that is called by a client's id is not", async () => {
  const decision = "client:agent-1";
  const { line, value } = await lineOf({ status: "denied", decision, reason: decision });
  expect(value).toMatchObject({ policy_rule: "client", facts: { reason: "client" } });
  expect(line.text).not.toContain("agent-1");
});

test("an operator's successful change is no warning", async () => {
  expect((await lineOf({ status: "OK" })).line.level).toBe("info");
  expect((await lineOf({ status: "PERMISSION_DENIED" })).line.level).toBe("warn");
});

test("identities stand there as tokens only, and nothing else of the sealed part", async () => {
  const { line, value } = await lineOf({});
  expect(value.user_id).toBe(token);
  expect(value.client_id).toBeUndefined();
  expect(line.text).not.toContain("alice");
  expect(line.text).not.toContain("AAAA");
});

test.each(["", '{"v":1}', '{"tokens":{"principal":"alice"}}', "alice"])(
  "a sealed part %p has no identities to show",
  async (details) => {
    await using log = await openSpooledLog();
    await log.append({});
    const [record] = await log.read();
    const line = record && toSinkLine({ ...record, details });
    expect(JSON.parse(line?.text ?? "{}")).toMatchObject({ status: "success" });
    expect(line?.text).not.toContain("alice");
    expect(line?.text).not.toContain("user_id");
  },
);

test("D05: a denial is a policy violation, with its error's code and HTTP status", async () => {
  const { line, value } = await lineOf({
    status: "denied",
    error: "policy-denied",
    code: 40301,
    decision: "deny-all",
  });
  expect(value).toMatchObject({
    event_type: "policy_violation",
    level: "warn",
    policy_decision: "deny",
    response_status: 403,
    error_code: 40301,
    error: "policy-denied",
  });
  expect(line.level).toBe("warn");
});

test.each([
  ["a line break", "a\nb\r\nc"],
  ["an ANSI sequence", "\u001b[31mred\u001b[0m"],
  ["a one-character CSI", "\u009b31mred"],
  ["a right-to-left override", "user\u202egnp.exe\u2066x\u2069"],
  ["another line separator", "a\u2028b\u2029c\u0085d"],
  ["JSON", '","level":"info","status":"success'],
  ["a spreadsheet's formula", "=cmd|' /C calc'!A0"],
  ["half a character", "\ud800"],
  ["invisible tags", "x\u{e0041}\u{e0042}"],
  ["a byte order mark and zero-width marks", "\ufeffx\u200b\u200f"],
])("ST-24: %s in a recorded string stays in its string", async (_what, hostile) => {
  const { line, value } = await lineOf({ tool: hostile, note: hostile, status: "error" });
  expect(value.tool_name).toBe(hostile);
  expect(value.facts.note).toBe(hostile);
  expect(value.status).toBe("error");
  expect(line.text.split("\n")).toHaveLength(1);
  expect(line.text).not.toMatch(/[^\P{C}\u{e0000}]|[\u2028\u2029]|[\u{e0000}-\u{e007f}]/u);
});

test("a line that would be too long keeps what it must say", async () => {
  const { line, value } = await lineOf({ note: "x".repeat(9000), more: "é".repeat(4000) });
  expect(value.facts.note).toHaveLength(9000);
  expect(JSON.parse(line.short)).toMatchObject({ truncated: true, tool_name: "add" });
  expect(line.short.length).toBeLessThan(2000);
});

test("an envelope that cannot be read makes no line", () => {
  expect(toSinkLine({ seq: 1, envelope: "{", details: "", leaf: "" })).toBeUndefined();
});

test("a gap says what is missing, and why", () => {
  const line = toGapLine({ log: "l", from: 4, count: 3, reason: "removed" }, 0);
  expect(JSON.parse(line.text)).toEqual({
    timestamp: "1970-01-01T00:00:00.000Z",
    level: "error",
    logger: "mcp_gateway.audit",
    event_type: "audit_gap",
    log: "l",
    from: 4,
    count: 3,
    reason: "removed",
  });
});
